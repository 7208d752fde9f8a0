/** What the last calibration expected beside what was spent, with the simpler rules that it is compared with. */
import { json } from "../../api/client";
import { useQuery } from "../../api/query";
import { status } from "../../api/shared";
import type { BacktestReport, PolicySavings } from "../../api/types";
import { percent, time, usd } from "../../lib/format";
import { curl } from "../../lib/sql";
import { tenantKey } from "../../session";
import { ModelName } from "../../ui/model";
import { Panel } from "../../ui/panel";
import { ErrorNote, Skeleton } from "../../ui/states";
import { savingsSql } from "./sources";

interface Props {
  policy: string;
  round: number;
  report: BacktestReport | undefined;
}

export function Savings({ policy, round, report }: Props) {
  const path = `/v1/router/savings?policy=${encodeURIComponent(policy)}`;
  const found = useQuery(
    (signal) => json<{ data: PolicySavings[] }>(path, { signal }),
    [path, tenantKey.value, round],
  );
  const row = found.data?.data[0];
  return (
    <Panel
      title="Expected beside spent"
      kind="worth-savings"
      curl={curl(path)}
      sql={status.value ? savingsSql(status.value, policy) : undefined}
    >
      {found.error && <ErrorNote error={found.error} retry={found.reload} />}
      {found.slow && <Skeleton />}
      {row && <Compared row={row} report={report} />}
    </Panel>
  );
}

function Compared({ row, report }: { row: PolicySavings; report: BacktestReport | undefined }) {
  const models = [...new Set([...Object.keys(row.shares), ...Object.keys(row.expected_shares)])].sort();
  const references = report?.references;
  return (
    <>
      <p>
        {row.verdict.charAt(0).toUpperCase() + row.verdict.slice(1)}
        {/[.!?]$/.test(row.verdict) ? "" : "."}{" "}
        {row.saved_usd !== null && row.requests > 0 && (
          <>
            Spent <strong>{usd(row.spent_usd)}</strong> where the default model alone would have cost{" "}
            {usd(row.default_usd)}: <strong>{usd(row.saved_usd)} saved</strong>.
          </>
        )}
      </p>
      <p class="muted small">
        {row.requests} requests since {time(row.since)}.{" "}
        {row.calibrated_at === null &&
          "Never calibrated: apply a target to have expectations to compare with."}
      </p>
      <div class="scroll-x" tabIndex={0} role="region" aria-label="Expected and spent">
        <table class="worth-table">
          <thead>
            <tr>
              <th scope="col">
                <span class="visually-hidden">measure</span>
              </th>
              <th scope="col" class="number">
                expected
              </th>
              <th scope="col" class="number">
                in the ledger
              </th>
            </tr>
          </thead>
          <tbody>
            <Line name="cost, of the default's" then={row.expected_cost_ratio} now={row.cost_ratio} />
            {models.map((model) => (
              <tr key={model}>
                <th scope="row">
                  <ModelName name={model} />
                </th>
                <td class="number">{percent(row.expected_shares[model])}</td>
                <td class="number">{percent(row.shares[model])}</td>
              </tr>
            ))}
            <Line name="decided by the memory" then={null} now={row.learned} />
            <tr>
              <th scope="row">quality, of the default's</th>
              <td class="number">{percent(row.expected_quality_ratio, 1)}</td>
              <td class="number muted">unknown without labels</td>
            </tr>
          </tbody>
        </table>
      </div>
      {references && (
        <p class="muted small">
          For comparison, cost and quality of the default's: always {references.cheapest.model}{" "}
          {both(references.cheapest)}, always {references.default.model} {both(references.default)}, the best
          single model {references.best_single.model} {both(references.best_single)}, oracle{" "}
          {both(references.oracle)}; the static blend lies between the single models.
        </p>
      )}
    </>
  );
}

function both(rule: { cost_ratio: number | null; quality_ratio: number | null }): string {
  return `${percent(rule.cost_ratio)} and ${percent(rule.quality_ratio)}`;
}

function Line({ name, then, now }: { name: string; then: number | null; now: number | null }) {
  return (
    <tr>
      <th scope="row">{name}</th>
      <td class="number">{percent(then)}</td>
      <td class="number">{percent(now)}</td>
    </tr>
  );
}
