/** The estimated quality of each candidate as bars. */
import "./decision.css";
import { count, decimal, signed } from "../lib/format";
import { colourOf } from "../lib/models";
import { barOf, partsOf, type Estimated } from "../lib/parts";
import { ModelName } from "../ui/model";

interface Candidate extends Estimated {
  model: string;
  labels?: number | null;
}

/** The estimate of each candidate: the prior hatched, what the neighbours move it by solid. */
export function Estimates({ candidates }: { candidates: readonly Candidate[] }) {
  return (
    <ul class="bars">
      {candidates.map((each) => {
        const bar = barOf(each.quality ?? 0, each.prior ?? each.quality ?? 0);
        const words = inWords(each);
        return (
          <li key={each.model} class={`colour-${colourOf(each.model)}`}>
            <ModelName name={each.model} />
            <span class="bar" aria-hidden="true" title={words}>
              <span class="hatched" style={{ width: `${100 * bar.prior}%` }} />
              <span class="solid" style={{ width: `${100 * bar.added}%` }} />
              <span class="removed" style={{ width: `${100 * bar.removed}%` }} />
            </span>
            <span class="value">{decimal(each.quality, 3)}</span>
            <span class="muted detail">{words}</span>
          </li>
        );
      })}
    </ul>
  );
}

/** The terms that add up to the estimate. */
function inWords(candidate: Candidate): string {
  const { quality, prior, labels } = candidate;
  if (quality === null || prior === null) return "no estimate";
  const start = `prior ${decimal(prior)}`;
  const parts = partsOf(candidate);
  if (parts === null) return `${start}, neighbours ${signed(quality - prior)}`;
  const of = labels == null ? "" : ` of ${count(labels, "neighbour")}`;
  const borrowed = parts.borrowed === null ? "" : `, borrowed ${signed(parts.borrowed)}`;
  return `${start}, ease ${signed(parts.ease)}, own labels${of} ${signed(parts.own)}${borrowed}`;
}

/** `guessed`: whether the priors are those of the neighbours' tasks. `parts`: whether the bars' texts name them. */
export function EstimatesLegend({ guessed = false, parts = false }: { guessed?: boolean; parts?: boolean }) {
  return (
    <>
      <p class="muted legend">
        <span class="key hatched" aria-hidden="true" /> prior: the model's mean
        {guessed ? " for the tasks of the neighbours" : ""} <span class="key solid" aria-hidden="true" />{" "}
        added and <span class="key removed" aria-hidden="true" /> removed by neighbours
      </p>
      {parts && (
        <p class="muted legend">
          Ease: how easy the prompt is, by the neighbours' labels of all models. Own labels: how the
          neighbours' labels of this model differ from that. Borrowed: what the labels of all models say of
          this one.
        </p>
      )}
    </>
  );
}
