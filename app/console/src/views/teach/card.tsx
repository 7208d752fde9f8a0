/** One answer: its text as it comes, its score, what a judge suggests, and after teaching its model. */
import { useId } from "preact/hooks";
import type { ShownAnswer } from "../../lib/comparison";
import { decimal, duration, usd } from "../../lib/format";
import { meaning, STEP } from "../../lib/scores";
import { ModelName } from "../../ui/model";
import type { Suggestion } from "./suggestions";

interface Props {
  answer: ShownAnswer;
  /** The key that chooses it. */
  digit: number;
  score: number | undefined;
  suggestion: Suggestion | undefined;
  /** Who suggests. */
  suggestedBy: string | null;
  chosen: boolean;
  /** Whether the model and what it cost may be shown. */
  revealed: boolean;
  /** Whether the scores are taught. */
  fixed: boolean;
  onScore: (score: number) => void;
  onChoose: () => void;
}

export function AnswerCard(props: Props) {
  const { answer, digit, score, suggestion, chosen, revealed, fixed } = props;
  const id = useId();
  const title = `Answer ${answer.label}`;
  return (
    <article
      class={`answer-card ${chosen ? "chosen" : ""}`}
      aria-labelledby={`${id}-title`}
      aria-busy={!answer.done}
      data-label={answer.label}
    >
      <header class="row">
        <h3 id={`${id}-title`}>{title}</h3>
        {digit <= 9 && !fixed && <kbd aria-hidden="true">{digit}</kbd>}
        {revealed && answer.model !== null && <ModelName name={answer.model} />}
      </header>
      {answer.error !== null && <p class="note bad">{answer.error}</p>}
      <div class="answer-text" tabIndex={0} role="group" aria-label={`Text of answer ${answer.label}`}>
        {answer.text !== "" && <p class="prompt-text">{answer.text}</p>}
        {!answer.done && <Writing begun={answer.text !== ""} />}
        {answer.done && answer.text === "" && answer.error === null && <p class="muted">(no text)</p>}
      </div>
      {answer.finishReason === "length" && <p class="badge warn cut">cut off at its length limit</p>}
      {revealed && answer.cost !== null && (
        <p class="answer-cost muted">
          {usd(answer.cost.cost_usd)} · {duration(answer.cost.latency_ms)} ·{" "}
          {answer.cost.completion_tokens ?? "?"} tokens
        </p>
      )}
      {answer.error === null && (
        <div class={`scoring ${score === undefined ? "unset" : ""}`}>
          <label for={id}>Score</label>
          <input
            id={id}
            type="range"
            min={0}
            max={1}
            step={STEP}
            value={score ?? 0.5}
            disabled={fixed}
            aria-label={`Score of answer ${answer.label}`}
            aria-valuetext={score === undefined ? "not scored" : `${decimal(score, 2)}, ${meaning(score)}`}
            onFocus={props.onChoose}
            onInput={(event) => props.onScore(event.currentTarget.valueAsNumber)}
          />
          <output for={id}>{score === undefined ? "–" : score.toFixed(2)}</output>
          <p class="meaning muted">{score === undefined ? "not scored" : meaning(score)}</p>
        </div>
      )}
      {suggestion && (
        <p class="suggestion">
          <span class="muted">
            {props.suggestedBy === null ? "Recorded score" : `${props.suggestedBy} suggests`}
          </span>{" "}
          <strong>{suggestion.score.toFixed(2)}</strong>
          {suggestion.reason !== null && <span class="prompt-text">: {suggestion.reason}</span>}{" "}
          {!fixed && score !== undefined && Math.abs(score - suggestion.score) > 0.001 && (
            <button type="button" class="button small quiet" onClick={() => props.onScore(suggestion.score)}>
              use it
            </button>
          )}
        </p>
      )}
    </article>
  );
}

function Writing({ begun }: { begun: boolean }) {
  return (
    <p class="writing muted">
      <span class="writing-dots" aria-hidden="true" /> {begun ? "writing" : "thinking"}
    </p>
  );
}
