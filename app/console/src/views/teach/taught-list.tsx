/** What this tab has taught, the newest first; the newest can be undone. */
import { useState } from "preact/hooks";
import { ApiError } from "../../api/client";
import { status } from "../../api/shared";
import { decimal } from "../../lib/format";
import { curl, tenantId } from "../../lib/sql";
import { ModelName } from "../../ui/model";
import { Panel } from "../../ui/panel";
import { ErrorNote } from "../../ui/states";
import { lessons, undo } from "./taught";

/** The most that are listed. */
const LISTED = 5;

export function TaughtList() {
  const [error, setError] = useState<ApiError | null>(null);
  const all = lessons.value;
  const last = all.at(-1);
  if (last === undefined) return null;
  const listed = all.slice(-LISTED).reverse();
  const ids = listed.flatMap((each) => each.memoryId ?? []);
  const after = Math.max(0, Math.min(...ids) - 1);
  const tenant = status.value?.tenant;
  const undoLast = () => {
    setError(null);
    undo(last).catch((caught: unknown) =>
      setError(caught instanceof ApiError ? caught : new ApiError(String(caught), 0)),
    );
  };
  return (
    <Panel
      title="Taught just now"
      kind="taught"
      curl={curl(`/v1/router/memories?limit=${LISTED}&after=${after}`)}
      sql={
        tenant === undefined || ids.length === 0
          ? undefined
          : `select * from router.recall(${tenantId(tenant)}, p_after => ${after}, p_limit => 1000)
where memory_id in (${ids.join(", ")});`
      }
      actions={
        <button
          type="button"
          class="button small"
          disabled={last.memoryId === null || last.earlier === undefined}
          title={
            last.earlier === undefined
              ? "It replaced scores that are not known, because this tenant stores no prompts."
              : undefined
          }
          onClick={undoLast}
        >
          Undo the last <kbd>u</kbd>
        </button>
      }
    >
      {error && <ErrorNote error={error} />}
      <ul class="stack lessons">
        {listed.map((each) => (
          <li
            key={`${each.memoryId ?? "new"} ${each.prompt}`}
            class={each.memoryId === null ? "pending" : ""}
          >
            <p class="excerpt">{each.prompt}</p>
            <p class="row facts">
              {Object.entries(each.scores).map(([model, score]) => (
                <span key={model}>
                  <ModelName name={model} /> {decimal(score, 2)}
                </span>
              ))}
              {each.earlier !== null && <span class="badge">replaced</span>}
            </p>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
