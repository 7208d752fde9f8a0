/** The steps of a decision, each a panel with its numbers. */
import { useState } from "preact/hooks";
import type { ExplainedCandidate, Explanation } from "../../api/types";
import { flips, scoreAt } from "../../lib/flip";
import { count, decimal, percent, usd } from "../../lib/format";
import { gatesFor } from "../../lib/gates";
import { colourOf } from "../../lib/models";
import { ModelName } from "../../ui/model";
import { NeighbourMap } from "./map";

export function Gates({ explanation }: { explanation: Explanation }) {
  return (
    <ol class="gates">
      {gatesFor(explanation.reason).map((gate) => (
        <li key={gate.name} class={gate.state.replace(" ", "-")}>
          <span class="mark" aria-hidden="true">
            {{ passed: "✓", declined: "✕", "not reached": "·" }[gate.state]}
          </span>
          <span>
            <strong>{gate.name}</strong> <span class="muted">{gate.question}</span>
            {gate.state === "declined" && <span class="why">{explanation.why}.</span>}
            <span class="visually-hidden">: {gate.state}</span>
          </span>
        </li>
      ))}
    </ol>
  );
}

/** How many neighbours are listed at first. */
const FEW = 6;

export function Neighbours({ explanation, models }: { explanation: Explanation; models: readonly string[] }) {
  const [chosen, setChosen] = useState<number | null>(null);
  const [all, setAll] = useState(false);
  const found = explanation.neighbours;
  const heaviest = Math.max(1e-9, ...found.map((each) => each.weight));
  const listed = all ? found : found.slice(0, FEW);
  const outside = found.find((each) => each.memory_id === chosen && !listed.includes(each));
  return (
    <div class="neighbours">
      <NeighbourMap neighbours={found} cheapestFirst={models} chosen={chosen} onChoose={setChosen} />
      <div>
        <ol class="neighbour-list">
          {[...listed, ...(outside ? [outside] : [])].map((each) => (
            <li
              key={each.memory_id}
              class={chosen === each.memory_id ? "chosen" : ""}
              onPointerEnter={() => setChosen(each.memory_id)}
              onPointerLeave={() => setChosen(null)}
            >
              <p class="excerpt">{each.prompt ?? "(this tenant stores no prompts)"}</p>
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

/** The estimate of each candidate: the neighbours' part solid, the prior's part hatched. */
export function Estimates({ candidates }: { candidates: readonly ExplainedCandidate[] }) {
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
                : `${percent(each.confidence)} from ${count(each.labels ?? 0, "labelled neighbour")}, the rest from the prior ${decimal(each.prior, 2)}`}
            </span>
          </li>
        );
      })}
    </ul>
  );
}

export function Scores({ explanation }: { explanation: Explanation }) {
  const { alpha, unit_usd: unit } = explanation;
  return (
    <>
      <div class="scroll-x" tabIndex={0} role="region" aria-label="Scores">
        <table>
          <thead>
            <tr>
              <th scope="col">Candidate</th>
              <th scope="col" class="number">
                quality
              </th>
              <th scope="col" class="number">
                cost
              </th>
              <th scope="col" class="number">
                − alpha · cost / unit
              </th>
              <th scope="col" class="number">
                score
              </th>
            </tr>
          </thead>
          <tbody>
            {explanation.candidates.map((each) => (
              <tr key={each.model}>
                <th scope="row">
                  <ModelName name={each.model} />
                </th>
                <td class="number">{decimal(each.quality)}</td>
                <td class="number">{usd(each.cost_usd)}</td>
                <td class="number">
                  {each.cost_usd === null || unit === null || alpha === null || unit === 0
                    ? "–"
                    : `− ${decimal((alpha * each.cost_usd) / unit)}`}
                  {(each.penalty ?? 0) > 0 && ` − ${decimal(each.penalty)} for leaving its model`}
                </td>
                <td class="number">
                  <strong>{decimal(each.score ?? scoreAt(each, alpha ?? 0, unit))}</strong>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="muted">
        The unit is {usd(unit)}, what the dearest candidate costs for this tenant's average prompt. The cost
        is of about {decimal(explanation.candidates[0]?.prompt_tokens, 0)} prompt tokens and the expected
        tokens of each answer.
      </p>
    </>
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
          : `Confidence ${percent(explanation.confidence)}: that share of the estimate comes from near examples, the rest from the mean of all.`}
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
