/** What a goal costs, in a sentence. */
import type { Calibration, CurvePoint } from "../../api/types";
import { percent } from "../../lib/format";
import type { Goal } from "./measure";

interface BoundProps {
  planned: Calibration | null;
  guess: CurvePoint | null;
  goal: Goal;
  confidence: number;
}

/** The bound in one sentence: from the curve at once, then as the server measured it. */
export function Bound({ planned, guess, goal, confidence }: BoundProps) {
  const promise =
    "target" in goal
      ? `Keeps at least ${percent(goal.target, 1)}`
      : `At most ${percent(goal.at_most, 1)} worse`;
  const keeps = `${promise} with ${percent(confidence)} confidence: `;
  if (planned !== null) {
    return (
      <p class="worth-bound" data-state="measured">
        {keeps}
        <strong>
          {planned.cost_ratio === null ? "at no cost" : `${percent(planned.cost_ratio)} of the cost`}
        </strong>
        <span class="muted">
          {" "}
          {planned.worse_share === null
            ? `(expected ${percent(planned.quality_ratio, 1)}, bound ${percent(planned.quality_ratio_low, 1)})`
            : `(measured ${percent(planned.worse_share, 1)} on ${planned.rows} memories that chose no setting)`}
        </span>
      </p>
    );
  }
  if ("at_most" in goal) return <p class="worth-bound muted">Testing on the memory …</p>;
  if (guess === null) {
    return (
      <p class="worth-bound muted">
        No point of the curve keeps {percent(goal.target, 1)}: asking the server …
      </p>
    );
  }
  return (
    <p class="worth-bound" data-state="guess">
      {keeps}
      <strong>about {percent(guess.cost_ratio)} of the cost</strong>
    </p>
  );
}
