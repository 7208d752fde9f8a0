/** Route: why a prompt goes to which model, step by step. */
import "./route.css";
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { json } from "../../api/client";
import { useQuery } from "../../api/query";
import { policy as currentPolicy, policyName, status } from "../../api/shared";
import type { Explanation, SamplePrompt } from "../../api/types";
import { Estimates, EstimatesLegend } from "../../decision/estimates";
import { Gates } from "../../decision/gates";
import { Scores } from "../../decision/scores";
import { percent, usd } from "../../lib/format";
import { declined } from "../../lib/gates";
import { reasonText } from "../../lib/reasons";
import { curl } from "../../lib/sql";
import { place } from "../../location";
import { tenantKey } from "../../session";
import { ModelName } from "../../ui/model";
import { Panel } from "../../ui/panel";
import { showShortcuts, useShortcuts } from "../../ui/shortcuts";
import { ErrorNote, Skeleton } from "../../ui/states";
import { Warmth } from "../../ui/warmth";
import { Dial } from "./dial";
import { bodyOf, questionOfAddress, showInAddress, type Question } from "./question";
import { Recorded } from "./recorded";
import { Send } from "./send";
import { Snippet } from "./snippet";
import { evidenceSql, explainSql, gatesSql } from "./sources";
import { Flips, Neighbours } from "./steps";

/** The most neighbours that are drawn. */
const DRAWN = 100;
const KINDS = {
  cheap: "goes to the cheap model",
  strong: "needs a strong model",
  declined: "declined",
  more: "",
};

export default function RouteView() {
  const samples = useQuery(
    (signal) =>
      json<{ data: SamplePrompt[] }>(`/v1/router/samples?policy=${encodeURIComponent(policyName.value)}`, {
        signal,
      }),
    [tenantKey.value, policyName.value],
  );
  const [question, setQuestion] = useState<Question>(questionOfAddress);
  const [draft, setDraft] = useState(question.prompt);
  const ask = (change: Partial<Question>) => {
    const next = { ...question, ...change };
    setQuestion(next);
    if (change.prompt !== undefined) setDraft(change.prompt);
    showInAddress(next);
  };
  const take = (sample: SamplePrompt) =>
    ask({
      prompt: sample.prompt,
      fields: Object.keys(sample.fields).length ? JSON.stringify(sample.fields) : "",
    });

  // The box is never empty at first: the first sample is there, and explained.
  const first = samples.data?.data[0];
  useEffect(() => {
    if (first && question.prompt === "" && draft === "") take(first);
  }, [first]);
  // A link of a colleague that is opened in this tab, and the browser's back button.
  useEffect(() => {
    const found = questionOfAddress();
    if (found.prompt !== "" && found.prompt !== question.prompt) {
      setQuestion(found);
      setDraft(found.prompt);
    }
  }, [place.value]);

  const name = currentPolicy.value?.policy ?? policyName.value;
  const body = bodyOf(question, name, DRAWN);
  const explained = useQuery(
    (signal) =>
      question.prompt.trim() === ""
        ? Promise.resolve(null)
        : json<Explanation>("/v1/router/explain", { json: body, signal }),
    [JSON.stringify(body), tenantKey.value],
  );
  const explanation = explained.data ?? null;
  const chips = (samples.data?.data ?? []).filter((each) => each.kind !== "more");
  const more = (samples.data?.data ?? []).filter((each) => each.kind === "more");

  return (
    <div class="stack">
      <form
        class="panel asking"
        onSubmit={(event) => {
          event.preventDefault();
          ask({ prompt: draft });
        }}
      >
        <label for="prompt" class="asking-label">
          Which model should answer this?
        </label>
        <textarea
          id="prompt"
          rows={3}
          value={draft}
          placeholder="Write a prompt; Enter explains, Shift+Enter breaks the line"
          onInput={(event) => setDraft(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
            event.preventDefault();
            // A prompt that was typed needs what it says, not what the sample asked for.
            ask({ prompt: draft, ...(draft !== question.prompt && { fields: "" }) });
          }}
        />
        <div class="row">
          <button type="submit" class="button primary">
            Explain
          </button>
          {chips.map((sample) => (
            <button
              key={sample.title}
              type="button"
              class="chip sample"
              aria-pressed={sample.prompt === question.prompt}
              title={sample.prompt}
              onClick={() => take(sample)}
            >
              {sample.title} <span class="muted">{KINDS[sample.kind]}</span>
            </button>
          ))}
          {more.length > 0 && (
            <select
              aria-label="More prompts"
              value=""
              onChange={(event) => {
                const found = more[event.currentTarget.selectedIndex - 1];
                if (found) take(found);
                event.currentTarget.selectedIndex = 0;
              }}
            >
              <option value="">more prompts …</option>
              {more.map((sample) => (
                <option key={sample.prompt}>{`${sample.title}: ${sample.prompt.slice(0, 60)}`}</option>
              ))}
            </select>
          )}
          <button type="button" class="button quiet small push" onClick={showShortcuts}>
            Keys <kbd>?</kbd>
          </button>
        </div>
        {question.fields !== "" && (
          <p class="muted fields">
            The request also has <code>{Object.keys(JSON.parse(question.fields) as object).join(", ")}</code>.{" "}
            <button type="button" class="button small quiet" onClick={() => ask({ fields: "" })}>
              leave it out
            </button>
          </p>
        )}
      </form>
      {explained.error && <ErrorNote error={explained.error} retry={explained.reload} />}
      {explained.slow && <Skeleton lines={8} />}
      {explanation && (
        <Walk
          explanation={explanation}
          question={question}
          policy={name}
          busy={explained.busy}
          sample={samples.data?.data.find(
            (each) => each.prompt === question.prompt && each.answers.length > 0,
          )}
          ask={ask}
        />
      )}
      {!explanation && currentPolicy.value && !currentPolicy.value.ready && (
        <Warmth policy={currentPolicy.value} />
      )}
    </div>
  );
}

interface WalkProps {
  explanation: Explanation;
  question: Question;
  policy: string;
  busy: boolean;
  sample: SamplePrompt | undefined;
  ask: (change: Partial<Question>) => void;
}

function Walk({ explanation, question, policy, busy, sample, ask }: WalkProps) {
  const [at, showAt] = useState(0);
  // Two keys may come before the next render.
  const latest = useRef(0);
  const setAt = (step: number) => showAt((latest.current = step));
  const root = useRef<HTMLOListElement>(null);
  const state = status.value;
  const cheapestFirst = [...explanation.candidates]
    .sort((a, b) => (a.cost_usd ?? Infinity) - (b.cost_usd ?? Infinity))
    .map((each) => each.model);
  const tokens = explanation.candidates[0]?.prompt_tokens ?? Math.ceil(question.prompt.length / 4);
  const sources = state && { sql: explainSql(question, state, policy, tokens) };
  const call = curl("/v1/router/explain", { json: bodyOf(question, policy, 10) });

  const steps: {
    title: string;
    body: ComponentChildren;
    sql?: string | undefined;
    dials?: ComponentChildren;
  }[] = [
    {
      title: "The request",
      sql: state ? gatesSql(state, policy) : undefined,
      body: (
        <>
          <p class="prompt-text embedded" tabIndex={0}>
            {explanation.text}
          </p>
          <p class="muted">
            This text is embedded by <code>{state?.embedder}</code>. {Math.round(tokens)} prompt tokens,
            estimated
            {question.task === "" ? "; no task tag." : `; task ${question.task}.`}
          </p>
        </>
      ),
    },
    {
      title: "Is it safe to route?",
      sql: state ? gatesSql(state, policy) : undefined,
      body: <Gates reason={explanation.reason} why={explanation.why} />,
    },
  ];
  if (explanation.neighbours.length > 0) {
    steps.push({
      title: `The ${explanation.neighbours.length} nearest taught prompts`,
      sql: state ? evidenceSql(question, state, policy, DRAWN) : undefined,
      body: (
        <Neighbours
          explanation={explanation}
          models={cheapestFirst.length ? cheapestFirst : (currentPolicy.value?.models ?? [])}
        />
      ),
      dials: explanation.k !== null && explanation.tau !== null && (
        <>
          <Dial
            name="k"
            help="How many of the nearest memories are consulted."
            min={1}
            max={200}
            step={1}
            value={explanation.k}
            changed={question.k !== null}
            onChange={(k) => ask({ k })}
          />
          <Dial
            name="tau"
            help="How fast a memory's weight falls with its distance: exp((similarity − 1) / tau). Small: only the nearest count."
            min={0.02}
            max={1}
            step={0.01}
            value={explanation.tau}
            changed={question.tau !== null}
            onChange={(tau) => ask({ tau })}
          />
        </>
      ),
    });
  }
  if (explanation.candidates.some((each) => each.quality !== null)) {
    steps.push(
      {
        title: "How good would each answer be?",
        sql: sources?.sql,
        body: (
          <>
            <Estimates candidates={explanation.candidates} />
            <EstimatesLegend guessed={explanation.guessed ?? false} parts />
          </>
        ),
      },
      {
        title: "What is it worth at its cost?",
        sql: sources?.sql,
        body: (
          <Scores candidates={explanation.candidates} alpha={explanation.alpha} unit={explanation.unit_usd} />
        ),
        dials: (
          <Dial
            name="alpha"
            help="How much quality you would give up to save what the dearest model costs for an average prompt; 0 ignores cost."
            min={0}
            max={1}
            step={0.005}
            value={explanation.alpha ?? 0}
            changed={question.alpha !== null}
            onChange={(alpha) => ask({ alpha })}
          />
        ),
      },
    );
  }
  steps.push({
    title: "The winner",
    sql: sources?.sql,
    body: (
      <Flips
        explanation={explanation}
        onTry={(alpha) => ask({ alpha: Math.min(100, Number(alpha.toPrecision(4))) })}
      />
    ),
  });

  const move = (by: number) => {
    const next = Math.min(steps.length - 1, Math.max(0, latest.current + by));
    setAt(next);
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const item = root.current?.children[next];
    item?.scrollIntoView({ block: "nearest", behavior: still ? "auto" : "smooth" });
    if (item instanceof HTMLElement) item.focus({ preventScroll: true });
  };
  useShortcuts([
    { key: "ArrowRight", shown: "→ ↓", what: "The next step of the walk", run: () => move(1) },
    { key: "ArrowDown", shown: "↓", what: "The same", run: () => move(1) },
    { key: "ArrowLeft", shown: "← ↑", what: "The step before", run: () => move(-1) },
    { key: "ArrowUp", shown: "↑", what: "The same", run: () => move(-1) },
    { key: "/", what: "To the prompt", run: () => document.getElementById("prompt")?.focus() },
  ]);

  return (
    <>
      <Verdict explanation={explanation} busy={busy} />
      <div class="walk-columns">
        <ol class="walk" ref={root}>
          {steps.map((step, i) => (
            <li
              key={step.title.replace(/\d+/, "")}
              tabIndex={-1}
              class={i === at ? "current" : ""}
              onFocusCapture={() => setAt(i)}
            >
              <span class="number" aria-hidden="true">
                {i + 1}
              </span>
              <Panel title={step.title} sql={step.sql} curl={call}>
                {step.dials && <div class="dials">{step.dials}</div>}
                {step.body}
              </Panel>
            </li>
          ))}
        </ol>
        <div class="stack side">
          <Send question={question} policy={policy} />
          {sample && <Recorded sample={sample} routed={explanation.model} />}
          <Snippet policy={policy} />
        </div>
      </div>
    </>
  );
}

function Verdict({ explanation, busy }: { explanation: Explanation; busy: boolean }) {
  const chosen = explanation.candidates.find((each) => each.model === explanation.model);
  const fallback = currentPolicy.value?.default_model;
  const standard = explanation.candidates.find((each) => each.model === fallback);
  const ratio =
    chosen?.cost_usd != null && standard?.cost_usd != null && standard.cost_usd > 0 && standard !== chosen
      ? chosen.cost_usd / standard.cost_usd
      : null;
  return (
    <section
      class={`verdict ${declined(explanation.reason) ? "declined" : ""}`}
      aria-label="Decision"
      aria-live="polite"
      aria-busy={busy}
    >
      <p class="verdict-model">
        <ModelName name={explanation.model} />
        <span class={`badge ${declined(explanation.reason) ? "warn" : ""}`}>{explanation.reason}</span>
      </p>
      <p>
        {reasonText(explanation.reason)}{" "}
        <span class="muted">
          {ratio === null && chosen?.cost_usd != null && `About ${usd(chosen.cost_usd)}.`}
          {ratio !== null &&
            `About ${usd(chosen?.cost_usd)}, ${percent(ratio)} of what ${fallback ?? ""} would cost. `}
        </span>
      </p>
    </section>
  );
}
