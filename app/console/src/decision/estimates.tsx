/** The estimated quality of each candidate as bars. */
import "./decision.css";
import { count, decimal, percent } from "../lib/format";
import { colourOf } from "../lib/models";
import { ModelName } from "../ui/model";

export interface Estimated {
  model: string;
  quality: number | null;
  confidence: number | null;
  prior: number | null;
  labels?: number | null;
}

/** The estimate of each candidate: the neighbours' part solid, the prior's part hatched. */
export function Estimates({ candidates }: { candidates: readonly Estimated[] }) {
  return (
    <ul class="bars">
      {candidates.map((each) => {
        const quality = each.quality ?? 0;
        const prior = Math.min(quality, (1 - (each.confidence ?? 0)) * (each.prior ?? 0));
        return (
          <li key={each.model} class={`colour-${colourOf(each.model)}`}>
            <ModelName name={each.model} />
            <span class="bar" aria-hidden="true">
              <span class="solid" style={{ width: `${100 * (quality - prior)}%` }} />
              <span class="hatched" style={{ width: `${100 * prior}%` }} />
            </span>
            <span class="value">{decimal(each.quality, 3)}</span>
            <span class="muted detail">
              {each.quality === null
                ? "no estimate"
                : `${percent(each.confidence)} from ${each.labels == null ? "neighbours" : count(each.labels, "labelled neighbour")}, the rest from the prior ${decimal(each.prior, 2)}`}
            </span>
          </li>
        );
      })}
    </ul>
  );
}

export function EstimatesLegend() {
  return (
    <p class="muted legend">
      <span class="key solid" aria-hidden="true" /> from neighbours{" "}
      <span class="key hatched" aria-hidden="true" /> from the prior, the mean of all labels
    </p>
  );
}
