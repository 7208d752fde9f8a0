/** Client code to copy: what an application changes. */
import { useState } from "preact/hooks";
import { Copy } from "../../ui/copy";
import { Panel } from "../../ui/panel";

function snippets(policy: string): Record<string, string> {
  const base = `${location.origin}/v1`;
  return {
    Python: `import openai

client = openai.OpenAI(base_url="${base}", api_key="rk-…")
answer = client.chat.completions.create(
    model="${policy}", messages=[{"role": "user", "content": "…"}]
)`,
    JavaScript: `import OpenAI from "openai";

const client = new OpenAI({ baseURL: "${base}", apiKey: "rk-…" });
const answer = await client.chat.completions.create({
  model: "${policy}", messages: [{ role: "user", content: "…" }],
});`,
    curl: `curl ${base}/chat/completions \\
  -H "Authorization: Bearer $PGROUTER_KEY" -H "Content-Type: application/json" \\
  -d '{"model": "${policy}", "messages": [{"role": "user", "content": "…"}]}'`,
  };
}

export function Snippet({ policy }: { policy: string }) {
  const all = snippets(policy);
  const [chosen, setChosen] = useState("Python");
  const text = all[chosen] ?? "";
  return (
    <Panel
      title="Call it from your application"
      actions={
        <>
          {Object.keys(all).map((name) => (
            <button
              key={name}
              type="button"
              class="chip"
              aria-pressed={name === chosen}
              onClick={() => setChosen(name)}
            >
              {name}
            </button>
          ))}
          <Copy text={text} />
        </>
      }
    >
      <pre class="code" tabIndex={0}>
        {text}
      </pre>
    </Panel>
  );
}
