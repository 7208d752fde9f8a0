/** The gates of a decision, with the one that declined. */
import "./decision.css";
import { gatesFor } from "../lib/gates";

export function Gates({ reason, why }: { reason: string; why: string | null }) {
  return (
    <ol class="gates">
      {gatesFor(reason).map((gate) => (
        <li key={gate.name} class={gate.state.replace(" ", "-")}>
          <span class="mark" aria-hidden="true">
            {{ passed: "✓", declined: "✕", "not reached": "·" }[gate.state]}
          </span>
          <span>
            <strong>{gate.name}</strong> <span class="muted">{gate.question}</span>
            {gate.state === "declined" && <span class="why">{why}.</span>}
            <span class="visually-hidden">: {gate.state}</span>
          </span>
        </li>
      ))}
    </ol>
  );
}
