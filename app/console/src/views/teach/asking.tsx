/** The prompt, the models that are to answer it, and whether their names are hidden. */
import { models, policy, recorded } from "../../api/shared";
import type { SamplePrompt } from "../../api/types";
import { ModelName } from "../../ui/model";
import { showShortcuts } from "../../ui/shortcuts";
import { FEWEST, MOST, type Question } from "./question";

interface Props {
  question: Question;
  chosen: readonly string[];
  samples: readonly SamplePrompt[];
  busy: boolean;
  /** Whether there are answers to this prompt. */
  asked: boolean;
  onChange: (change: Partial<Question>) => void;
  onAsk: () => void;
  onSample: () => void;
}

export function Asking({ question, chosen, samples, busy, asked, onChange, onAsk, onSample }: Props) {
  const known = models.value.map((each) => each.id);
  const toggle = (name: string) =>
    onChange({
      models: chosen.includes(name) ? chosen.filter((each) => each !== name) : [...chosen, name],
    });
  const enough = chosen.length >= FEWEST && chosen.length <= MOST;
  const tasks = Object.keys(policy.value?.tasks ?? {});
  return (
    <form
      class="panel asking"
      onSubmit={(event) => {
        event.preventDefault();
        if (enough && question.prompt.trim() !== "") onAsk();
      }}
    >
      <label for="prompt" class="asking-label">
        What should the models answer?
      </label>
      <textarea
        id="prompt"
        rows={4}
        value={question.prompt}
        placeholder="A prompt as your application sends it; Enter gets the answers, Shift+Enter breaks the line"
        onInput={(event) => onChange({ prompt: event.currentTarget.value })}
        onKeyDown={(event) => {
          if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
          event.preventDefault();
          event.currentTarget.form?.requestSubmit();
        }}
      />
      <div class="row">
        <button
          type="button"
          class="button small"
          disabled={samples.length === 0}
          title="Replace the prompt by the next sample"
          onClick={onSample}
        >
          Next sample <kbd>n</kbd>
        </button>
        {samples.length > 1 && (
          <select
            aria-label="Samples"
            class="samples"
            value=""
            onChange={(event) => {
              const found = samples[event.currentTarget.selectedIndex - 1];
              event.currentTarget.selectedIndex = 0;
              if (found) onChange({ prompt: found.prompt });
            }}
          >
            <option value="">all samples …</option>
            {samples.map((sample) => (
              <option key={sample.prompt}>{sample.prompt.slice(0, 80)}</option>
            ))}
          </select>
        )}
        <label class="task">
          <span class="muted">Task</span>
          <input
            list="tasks"
            maxLength={100}
            placeholder="none"
            value={question.task}
            onChange={(event) => onChange({ task: event.currentTarget.value.trim() })}
          />
          <datalist id="tasks">
            {tasks.map((task) => (
              <option key={task} value={task} />
            ))}
          </datalist>
        </label>
      </div>
      <fieldset class="candidates">
        <legend>Answered by</legend>
        <div class="row">
          {known.map((name) => (
            <label key={name} class="candidate">
              <input type="checkbox" checked={chosen.includes(name)} onChange={() => toggle(name)} />
              <ModelName name={name} />
            </label>
          ))}
        </div>
        {!enough && (
          <p class="note warn">
            {chosen.length < FEWEST ? "Choose at least two models." : `Choose at most ${MOST} models.`}
          </p>
        )}
      </fieldset>
      <div class="row">
        <button
          type="submit"
          class={`button ${asked ? "" : "primary"}`}
          disabled={busy || !enough || question.prompt.trim() === ""}
        >
          {busy ? "Answering …" : asked ? "Get new answers" : "Get answers"}
        </button>
        <label class="check">
          <input
            type="checkbox"
            checked={question.blind}
            onChange={(event) => onChange({ blind: event.currentTarget.checked })}
          />{" "}
          hide the models until I have scored
        </label>
        <button type="button" class="button quiet small push" onClick={showShortcuts}>
          Keys <kbd>?</kbd>
        </button>
      </div>
      {recorded.value && (
        <p class="muted">
          The demo plays answers and scores that were written for its samples; its models are fictional. A
          prompt of your own gets a text that explains this.
        </p>
      )}
    </form>
  );
}
