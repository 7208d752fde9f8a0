/** The answers of a comparison side by side, their scores, and the button that teaches them. */
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "../../api/client";
import { models, recorded, status } from "../../api/shared";
import type { SamplePrompt } from "../../api/types";
import { count, usd } from "../../lib/format";
import { moved, ordered, type Order, type Scores } from "../../lib/scores";
import { curl, literal, tenantId } from "../../lib/sql";
import { Panel } from "../../ui/panel";
import { useShortcuts } from "../../ui/shortcuts";
import { ErrorNote } from "../../ui/states";
import { announce, toast } from "../../ui/toasts";
import { AnswerCard } from "./card";
import { bodyOf, toPrompt, type Question } from "./question";
import type { Running } from "./stream";
import { useSuggestions } from "./suggestions";
import { earlierLabels, lessons, teach, undo, type Example } from "./taught";

interface Props {
  asked: Question;
  /** The model that suggests scores; empty: none. */
  judge: string;
  running: Running;
  sample: SamplePrompt | undefined;
  onJudge: (judge: string) => void;
  onNext: () => void;
}

export function Answers({ asked, judge, running, sample, onJudge, onNext }: Props) {
  const { comparison, busy } = running;
  const [scores, setScores] = useState<Scores>({});
  const [chosen, setChosen] = useState<string | null>(null);
  const [order, setOrder] = useState<string[]>([]);
  const [taught, setTaught] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  // The memory has the text that the server derives from the prompt.
  const text = comparison.prompt ?? asked.prompt.trim();
  const earlier = useEarlier(text);
  const suggested = useSuggestions(asked.prompt, comparison, sample, recorded.value ? "" : judge);
  const root = useRef<HTMLDivElement>(null);
  // Two keys may come before the next render.
  const latest = useRef({ scores, chosen });
  latest.current = { scores, chosen };

  const labels = comparison.answers.map((each) => each.label);
  const shown = [
    ...order.filter((each) => labels.includes(each)),
    ...labels.filter((each) => !order.includes(each)),
  ];
  const answered = comparison.answers.filter((each) => each.error === null);
  const scored = answered.filter((each) => scores[each.label] !== undefined);
  const revealed = taught || (!asked.blind && comparison.answers.some((each) => each.model !== null));

  // New answers to the same prompt begin anew.
  useEffect(() => {
    if (!busy) return;
    setScores({});
    setChosen(null);
    setOrder([]);
    setTaught(false);
    setError(null);
  }, [busy]);
  // A suggestion fills in what has no score yet.
  useEffect(() => {
    const found = suggested.suggestions;
    if (!found) return;
    setScores((before) => ({
      ...Object.fromEntries(Object.entries(found.byLabel).map(([label, each]) => [label, each.score])),
      ...before,
    }));
  }, [suggested.suggestions]);

  const score = (label: string, value: number) => {
    if (taught) return;
    latest.current.scores = { ...latest.current.scores, [label]: value };
    setScores(latest.current.scores);
  };
  const choose = (label: string) => {
    if (!labels.includes(label)) return;
    latest.current.chosen = label;
    setChosen(label);
    const slider = root.current?.querySelector<HTMLElement>(`[data-label="${label}"] input`);
    slider?.focus();
  };
  const nudge = (steps: number) => {
    const label = latest.current.chosen;
    if (label !== null) score(label, moved(latest.current.scores[label], steps));
  };
  const submit = async () => {
    if (taught || !comparison.ended || scored.length === 0) return;
    const example: Example = { prompt: text, scores: {}, completion_tokens: {} };
    if (asked.task !== "") example.task = asked.task;
    for (const { label, model, cost } of scored) {
      const value = scores[label];
      if (model === null || value === undefined) continue;
      example.scores[model] = Number(value.toFixed(4));
      if (cost?.completion_tokens != null) example.completion_tokens[model] = cost.completion_tokens;
    }
    setTaught(true);
    setError(null);
    announce(`Taught. ${scored.map((each) => `${each.label} is ${each.model ?? ""}`).join(", ")}.`);
    try {
      await teach(example, earlier.value());
    } catch (caught) {
      setTaught(false);
      setError(caught instanceof ApiError ? caught : new ApiError(String(caught), 0));
    }
  };
  const undoLast = () => {
    const last = lessons.value.at(-1);
    if (last === undefined || last.memoryId === null || last.earlier === undefined) return;
    if (last.prompt === text) setTaught(false);
    undo(last)
      .then(() => announce("Undone."))
      .catch((caught: unknown) => toast(caught instanceof ApiError ? caught.message : String(caught)));
  };

  useShortcuts([
    ...labels.slice(0, 9).map((label, i) => ({
      key: String(i + 1),
      what: `Choose answer ${label}`,
      run: () => choose(label),
    })),
    { key: "ArrowRight", shown: "→ ↑", what: "A higher score", run: () => nudge(1) },
    { key: "ArrowUp", shown: "↑", what: "The same", run: () => nudge(1) },
    { key: "ArrowLeft", shown: "← ↓", what: "A lower score", run: () => nudge(-1) },
    { key: "ArrowDown", shown: "↓", what: "The same", run: () => nudge(-1) },
    {
      key: "Enter",
      what: "Teach the scores; then the next sample",
      run: () => (taught ? onNext() : void submit()),
    },
    { key: "u", what: "Undo the last", run: undoLast },
    { key: "n", what: "The next sample", run: onNext },
    { key: "/", what: "To the prompt", run: toPrompt },
  ]);

  const sort = (by: Order) => setOrder(ordered(labels, by, scores, Math.random));
  const tenant = status.value?.tenant;
  return (
    <Panel
      title="The answers"
      kind="answers"
      curl={curl("/v1/router/preferences/compare", {
        json: bodyOf(asked, asked.models ?? comparison.answers.flatMap((each) => each.model ?? [])),
      })}
      sql={
        tenant === undefined
          ? undefined
          : `-- What is taught about this prompt.\nselect * from router.recall(${tenantId(tenant)}, ${literal(text)});`
      }
      actions={
        labels.length > 1 && (
          <span class="row orders" role="group" aria-label="Order of the answers">
            {(["label", "best", "shuffled"] as const).map((by) => (
              <button key={by} type="button" class="chip" onClick={() => sort(by)}>
                {{ label: "A to Z", best: "best first", shuffled: "shuffle" }[by]}
              </button>
            ))}
          </span>
        )
      }
    >
      {asked.blind && !taught && (
        <p class="muted">Each model, its cost and its time are shown once you have taught the scores.</p>
      )}
      {running.error && <ErrorNote error={running.error} />}
      {earlier.known !== null && !taught && (
        <p class="note">You have taught this prompt before; teaching it again replaces the scores of then.</p>
      )}
      <div class="answer-cards" ref={root}>
        {shown.map((label) => {
          const answer = comparison.answers.find((each) => each.label === label);
          return (
            answer && (
              <AnswerCard
                key={label}
                answer={answer}
                digit={labels.indexOf(label) + 1}
                score={scores[label]}
                suggestion={suggested.suggestions?.byLabel[label]}
                suggestedBy={suggested.suggestions?.judge ?? null}
                chosen={chosen === label}
                revealed={revealed}
                fixed={taught}
                onScore={(value) => score(label, value)}
                onChoose={() => setChosen(label)}
              />
            )
          );
        })}
      </div>
      {comparison.ended && !taught && (
        <Judge
          judge={judge}
          sample={sample}
          suggested={suggested}
          onJudge={onJudge}
          answers={comparison.answers}
        />
      )}
      {error && <ErrorNote error={error} retry={() => void submit()} />}
      <div class="row submit">
        {taught ? (
          <>
            <p class="note good taught-note" role="status">
              Taught {count(scored.length, "score")}
              {revealed && costOf(comparison.answers)}.
            </p>
            <button type="button" class="button primary" onClick={onNext}>
              Next sample
            </button>
            <button type="button" class="button" onClick={undoLast}>
              Undo
            </button>
          </>
        ) : (
          <>
            <button
              type="button"
              class="button primary"
              disabled={!comparison.ended || scored.length === 0}
              onClick={() => void submit()}
            >
              Teach {count(scored.length, "score")} <kbd>Enter</kbd>
            </button>
            <span class="muted">
              {!comparison.ended
                ? busy
                  ? "The answers are being written."
                  : ""
                : scored.length < answered.length
                  ? "An answer without a score is not taught. Equal scores are welcome."
                  : "Equal scores are welcome."}
            </span>
          </>
        )}
      </div>
    </Panel>
  );
}

function costOf(answers: Running["comparison"]["answers"]): string {
  const known = answers.flatMap((each) => each.cost?.cost_usd ?? []);
  return known.length === 0
    ? ""
    : `; the answers cost ${usd(known.reduce((sum, each) => sum + each, 0))} together`;
}

/** The labels that teaching would replace: `known` for showing, and `value()` at the time of teaching. */
function useEarlier(prompt: string): { known: Example | null; value: () => Example | null } {
  const [known, setKnown] = useState<Example | null>(null);
  const latest = useRef<Example | null>(null);
  // Looked up again after each lesson, so that a second one finds the first.
  const taught = lessons.value;
  useEffect(() => {
    const abort = new AbortController();
    earlierLabels(prompt, abort.signal)
      .then((found) => setKnown((latest.current = found)))
      .catch(() => undefined);
    return () => abort.abort();
  }, [prompt, taught]);
  return { known, value: () => latest.current };
}

interface JudgeProps {
  judge: string;
  sample: SamplePrompt | undefined;
  suggested: ReturnType<typeof useSuggestions>;
  answers: Running["comparison"]["answers"];
  onJudge: (judge: string) => void;
}

/** Which model suggests scores, and what came of it. */
function Judge({ judge, sample, suggested, answers, onJudge }: JudgeProps) {
  if (sample)
    return <p class="muted judge">The sliders begin at the scores that were recorded with the demo.</p>;
  if (recorded.value)
    return (
      <p class="muted judge">
        No score is suggested: the demo's models play recorded answers and judge nothing.
      </p>
    );
  const compared = new Set(answers.map((each) => each.model));
  const known = models.value.map((each) => each.id);
  return (
    <div class="judge">
      <label class="row">
        <span>Let a model suggest scores</span>
        <select value={judge} onChange={(event) => onJudge(event.currentTarget.value)}>
          <option value="">no</option>
          {[
            ...known.filter((each) => !compared.has(each)),
            ...known.filter((each) => compared.has(each)),
          ].map((name) => (
            <option key={name} value={name}>
              {compared.has(name) ? `${name} (one of the compared models)` : name}
            </option>
          ))}
        </select>
        {suggested.busy && <span class="muted">asking {judge} …</span>}
      </label>
      {suggested.suggestions?.own === true && (
        <p class="note warn">
          {suggested.suggestions.judge} is one of the compared models and may favour its own answer.
        </p>
      )}
      {suggested.error && <ErrorNote error={suggested.error} retry={suggested.retry} />}
    </div>
  );
}
