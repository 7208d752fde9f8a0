/** Sends the prompt to the policy and shows the answer as it comes, with the headers that say what happened. */
import { useRef, useState } from "preact/hooks";
import { ApiError, call } from "../../api/client";
import { duration } from "../../lib/format";
import { curl } from "../../lib/sql";
import { events } from "../../lib/sse";
import { addressOf, go } from "../../location";
import { ModelName } from "../../ui/model";
import { Panel } from "../../ui/panel";
import { ErrorNote } from "../../ui/states";
import type { Question } from "./question";

interface Sent {
  text: string;
  headers: [string, string][];
  model: string | null;
  decision: string | null;
  firstToken: number | null;
  total: number | null;
}

function chatBody(question: Question, policy: string): Record<string, unknown> {
  return {
    model: policy,
    messages: [{ role: "user", content: question.prompt }],
    ...(question.fields !== "" && (JSON.parse(question.fields) as Record<string, unknown>)),
  };
}

export function Send({ question, policy }: { question: Question; policy: string }) {
  const [sent, setSent] = useState<Sent | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const running = useRef<AbortController | null>(null);
  const [busy, setBusy] = useState(false);

  const send = async () => {
    running.current?.abort();
    const abort = (running.current = new AbortController());
    setBusy(true);
    setError(null);
    const began = performance.now();
    let now: Sent = { text: "", headers: [], model: null, decision: null, firstToken: null, total: null };
    const show = (change: Partial<Sent>) => setSent((now = { ...now, ...change }));
    show({});
    try {
      const response = await call("/v1/chat/completions", {
        json: { ...chatBody(question, policy), stream: true },
        headers: {
          ...(question.alpha !== null && { "x-router-alpha": String(question.alpha) }),
          ...(question.task !== "" && { "x-router-task": question.task }),
        },
        signal: abort.signal,
      });
      show({
        headers: [...response.headers].filter(([name]) => name.startsWith("x-router-")),
        model: response.headers.get("x-router-model"),
        decision: response.headers.get("x-router-decision"),
      });
      for await (const event of events(response)) {
        if (event.data === "[DONE]") break;
        const chunk = JSON.parse(event.data) as {
          choices?: { delta?: { content?: string | null } }[];
          error?: { message: string };
        };
        if (chunk.error) throw new ApiError(chunk.error.message, 502);
        const piece = chunk.choices?.[0]?.delta?.content ?? "";
        if (piece !== "")
          show({ text: now.text + piece, firstToken: now.firstToken ?? performance.now() - began });
      }
      show({ total: performance.now() - began });
    } catch (caught) {
      if (!abort.signal.aborted)
        setError(caught instanceof ApiError ? caught : new ApiError(String(caught), 0));
    } finally {
      if (running.current === abort) setBusy(false);
    }
  };

  return (
    <Panel
      title="Send it"
      kind="send"
      curl={curl("/v1/chat/completions", { json: chatBody(question, policy) })}
      sql="select * from router.recent_decisions limit 1;"
      actions={
        <button
          type="button"
          class="button primary small"
          disabled={busy || question.prompt === ""}
          onClick={() => void send()}
        >
          {busy ? "Sending …" : "Send it"}
        </button>
      }
    >
      {error && <ErrorNote error={error} />}
      {sent === null && !error && (
        <p class="muted">
          Sends this prompt to the policy {policy}, streams the real answer, and shows who served it.
        </p>
      )}
      {sent !== null && (
        <div class="stack" aria-live="polite" aria-busy={busy}>
          {sent.model !== null && (
            <p class="row">
              <span>
                requested <code>{policy}</code>, served by <ModelName name={sent.model} />
              </span>
              <span class="muted">
                first token {duration(sent.firstToken)} · total {duration(sent.total)}
              </span>
              {sent.decision !== null && (
                <a
                  href={addressOf("traffic", { decision: sent.decision })}
                  onClick={(event) => {
                    event.preventDefault();
                    go("traffic", { decision: sent.decision });
                  }}
                >
                  open the decision
                </a>
              )}
            </p>
          )}
          <p class="prompt-text answer">{sent.text}</p>
          {sent.headers.length > 0 && (
            <pre class="headers" tabIndex={0} aria-label="Response headers">
              {sent.headers.map(([name, value]) => `${name}: ${value}`).join("\n")}
            </pre>
          )}
        </div>
      )}
    </Panel>
  );
}
