/** A setting of the policy as a slider; it changes this explanation alone. */
import { useId, useRef } from "preact/hooks";
import { keepInside } from "../../ui/popover";

interface Props {
  name: string;
  /** What the setting does, in one sentence. */
  help: string;
  value: number;
  min: number;
  max: number;
  step: number;
  /** Whether the slider differs from the policy's value. */
  changed: boolean;
  onChange: (value: number | null) => void;
}

export function Dial({ name, help, value, min, max, step, changed, onChange }: Props) {
  const id = useId();
  const text = useRef<HTMLParagraphElement>(null);
  return (
    <div class={`dial ${changed ? "changed" : ""}`}>
      <label for={id}>
        <code>{name}</code>
      </label>
      <input
        id={id}
        type="range"
        min={min}
        max={max}
        step={step}
        value={Math.min(max, Math.max(min, value))}
        aria-describedby={`${id}-help`}
        onInput={(event) => onChange(event.currentTarget.valueAsNumber)}
      />
      <output for={id}>{Number(value.toPrecision(3))}</output>
      {changed && (
        <button type="button" class="button small quiet" onClick={() => onChange(null)}>
          reset
        </button>
      )}
      <details class="dial-help" onToggle={() => text.current && keepInside(text.current)}>
        <summary aria-label={`What ${name} does`}>?</summary>
        <p id={`${id}-help`} ref={text}>
          {help}
        </p>
      </details>
    </div>
  );
}
