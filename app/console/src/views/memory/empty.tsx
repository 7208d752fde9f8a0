/** A memory without examples: how far it is, and the ways to fill it. */
import { policy, status } from "../../api/shared";
import { shellWord } from "../../lib/sql";
import { addressOf, go } from "../../location";
import { Copy } from "../../ui/copy";
import { Empty } from "../../ui/states";
import { Warmth } from "../../ui/warmth";

export function NoMemory() {
  const command = `pgrouter import examples.jsonl --tenant ${shellWord(status.value?.tenant ?? "NAME")}`;
  return (
    <section class="panel">
      <Empty title="Nothing is taught yet">
        <p>
          The map shows every taught prompt near the prompts that are like it. Until the memory has enough of
          them, each policy's default model serves.
        </p>
        {policy.value && (
          <div class="memory-warmth">
            <Warmth policy={policy.value} />
          </div>
        )}
        <a
          class="button primary"
          href={addressOf("teach")}
          onClick={(event) => {
            event.preventDefault();
            go("teach");
          }}
        >
          Teach the first prompt
        </a>
        <p>or import a file of examples:</p>
        <p class="row memory-command">
          <code>{command}</code> <Copy text={command} />
        </p>
      </Empty>
    </section>
  );
}
