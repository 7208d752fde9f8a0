/** Steps of the walk that only an explanation has: the neighbours, and what would flip the winner. */
import { useState } from "preact/hooks";
import type { Explanation } from "../../api/types";
import { flips } from "../../lib/flip";
import { decimal, percent, signed } from "../../lib/format";
import { colourOf } from "../../lib/models";
import { ModelName } from "../../ui/model";
import { NeighbourMap } from "./map";

/** How many neighbours are listed at first. */
const FEW = 6;

export function Neighbours({ explanation, models }: { explanation: Explanation; models: readonly string[] }) {
  const [chosen, setChosen] = useState<number | null>(null);
  const [all, setAll] = useState(false);
  const found = explanation.neighbours;
  const heaviest = Math.max(1e-9, ...found.map((each) => each.weight));
  const listed = all ? found : found.slice(0, FEW);
  const winner = explanation.candidates.find((each) => each.model === explanation.model);
  const outside = found.find((each) => each.memory_id === chosen && !listed.includes(each));
  return (
    <div class="neighbours">
      <NeighbourMap neighbours={found} cheapestFirst={models} chosen={chosen} onChoose={setChosen} />
      <div>
        {winner && winner.quality !== null && winner.prior !== null && (
          <p class="muted effects">
            At the right: how far each moves the estimate of {winner.model}. All together move it from its
            prior {decimal(winner.prior)} by {signed(winner.quality - winner.prior)}.
          </p>
        )}
        <ol class="neighbour-list">
          {[...listed, ...(outside ? [outside] : [])].map((each) => (
            <li
              key={each.memory_id}
              class={chosen === each.memory_id ? "chosen" : ""}
              onPointerEnter={() => setChosen(each.memory_id)}
              onPointerLeave={() => setChosen(null)}
            >
              <div class="neighbour-head">
                <p class="excerpt">{each.prompt ?? "(this tenant stores no prompts)"}</p>
                <Effect model={explanation.model} value={each.effects[explanation.model]} />
              </div>
              <p class="facts">
                <span
                  class="weight"
                  title={`weight ${decimal(each.weight)}, similarity ${decimal(each.similarity)}`}
                >
                  <span style={{ transform: `scaleX(${each.weight / heaviest})` }} />
                </span>
                <span class="muted">{decimal(each.similarity, 2)} similar</span>
                {each.task !== null && <span class="badge">{each.task}</span>}
                {models
                  .filter((model) => each.scores[model] !== undefined)
                  .map((model) => (
                    <span key={model} class={`score colour-${colourOf(model)}`} title={model}>
                      <span class="dot" aria-hidden="true" />
                      <span class="visually-hidden">{model} </span>
                      {decimal(each.scores[model], 2)}
                    </span>
                  ))}
              </p>
            </li>
          ))}
        </ol>
        {found.length > FEW && (
          <button type="button" class="button small" aria-expanded={all} onClick={() => setAll(!all)}>
            {all ? "Show fewer" : `Show all ${found.length}`}
          </button>
        )}
      </div>
    </div>
  );
}

function Effect({ model, value }: { model: string; value: number | undefined }) {
  if (value === undefined) return null;
  return (
    <span class="effect" title={`moves the estimate of ${model} by ${signed(value, 4)}`}>
      <span class="visually-hidden">moves {model} by </span>
      {signed(value)}
    </span>
  );
}

export function Flips({ explanation, onTry }: { explanation: Explanation; onTry: (alpha: number) => void }) {
  const alpha = explanation.alpha ?? 0;
  const found =
    explanation.reason === "learned" ? flips(explanation.candidates, alpha, explanation.unit_usd) : [];
  return (
    <div class="stack">
      <p class="winner">
        <ModelName name={explanation.model} /> <span class="badge">{explanation.reason}</span>
      </p>
      <p>{explanation.why}.</p>
      <p>
        {explanation.confidence === null
          ? "No estimate was needed, so there is no confidence."
          : `Confidence ${percent(explanation.confidence)}: the weight of near examples with a label of this model, against that of its prior.`}
      </p>
      {explanation.reason === "learned" && (
        <div class="flips">
          <h3>What would flip it</h3>
          {found.length === 0 && (
            <p class="muted">No alpha changes the winner: it is best at any price of cost.</p>
          )}
          <ul class="stack">
            {found.map((flip) => (
              <li key={flip.towards} class="row">
                <span>
                  <ModelName name={flip.model} /> wins at alpha {flip.towards === "lower" ? "below" : "above"}{" "}
                  <strong>{Number(flip.alpha.toPrecision(3))}</strong>
                  <span class="muted"> (now {Number(alpha.toPrecision(3))})</span>
                </span>
                <button
                  type="button"
                  class="button small"
                  onClick={() => onTry(flip.alpha * (flip.towards === "lower" ? 0.98 : 1.02))}
                >
                  Try it
                </button>
              </li>
            ))}
          </ul>
        </div>
      )}
    </div>
  );
}
