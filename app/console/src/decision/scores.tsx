/** The score of each candidate, term by term. */
import { scoreAt } from "../lib/flip";
import { decimal, usd } from "../lib/format";
import { ModelName } from "../ui/model";

interface Candidate {
  model: string;
  quality: number | null;
  cost_usd: number | null;
  penalty: number | null;
  score: number | null;
  prompt_tokens: number | null;
}

interface Props {
  candidates: readonly Candidate[];
  alpha: number | null;
  unit: number | null;
}

export function Scores({ candidates, alpha, unit }: Props) {
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
            {candidates.map((each) => (
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
        is of about {decimal(candidates[0]?.prompt_tokens, 0)} prompt tokens and the expected tokens of each
        answer.
      </p>
    </>
  );
}
