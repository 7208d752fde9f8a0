/** Cost by day, beside what the default models would have cost. */
import { useState } from "preact/hooks";
import { json } from "../../api/client";
import { useQuery } from "../../api/query";
import { status } from "../../api/shared";
import type { UsageReport } from "../../api/types";
import { count, usd } from "../../lib/format";
import { curl, tenantId } from "../../lib/sql";
import { tenantKey } from "../../session";
import { Panel } from "../../ui/panel";
import { ErrorNote, Skeleton } from "../../ui/states";

const PATH = "/v1/router/usage?since=14d&by=day";

const METRICS = {
  USD: { spent: (row: Sums) => row.cost_usd, beside: (row: Sums) => row.baseline_usd, text: usd },
  tokens: {
    spent: (row: Sums) => row.completion_tokens,
    beside: tokensOf,
    text: (n: number) => n.toLocaleString("en"),
  },
} as const;

type Sums = UsageReport["total"];

function tokensOf(row: Sums): number {
  return row.prompt_tokens + row.completion_tokens;
}

export function Spend() {
  const [metric, setMetric] = useState<keyof typeof METRICS>("USD");
  const { spent, beside, text } = METRICS[metric];
  const found = useQuery((signal) => json<UsageReport>(PATH, { signal }), [tenantKey.value]);
  const tenant = status.value?.tenant;
  const rows = found.data?.data ?? [];
  const highest = Math.max(1e-12, ...rows.map((each) => Math.max(spent(each), beside(each))));
  const total = found.data?.total;
  return (
    <Panel
      title="Cost and tokens by day"
      actions={Object.keys(METRICS).map((name) => (
        <button
          key={name}
          type="button"
          class="chip"
          aria-pressed={name === metric}
          onClick={() => setMetric(name as keyof typeof METRICS)}
        >
          {name}
        </button>
      ))}
      curl={curl(PATH)}
      sql={
        tenant === undefined
          ? undefined
          : `select * from router.usage(${tenantId(tenant)}, now() - interval '14d', p_by => '{day}');`
      }
    >
      {found.error && <ErrorNote error={found.error} retry={found.reload} />}
      {found.slow && <Skeleton />}
      {total && (
        <p>
          <strong>{usd(total.cost_usd)}</strong> in 14 days, {usd(total.baseline_usd)} on the default models
          alone: <strong>{usd(total.saved_usd)} saved</strong>.{" "}
          <span class="muted">
            {count(total.requests, "request")}, {total.prompt_tokens.toLocaleString("en")} prompt and{" "}
            {total.completion_tokens.toLocaleString("en")} completion tokens
            {total.unknown > 0 && `; the cost of ${total.unknown} is unknown`}.
          </span>
        </p>
      )}
      {rows.length > 0 && (
        <ol class="days">
          {rows.map((each) => (
            <li
              key={each.day}
              title={`${each.day ?? ""}: ${text(spent(each))} of ${text(beside(each))}, ${count(each.requests, "request")}`}
            >
              <span class="day-bars" aria-hidden="true">
                <span class="baseline" style={{ height: `${(100 * beside(each)) / highest}%` }} />
                <span class="spent" style={{ height: `${(100 * spent(each)) / highest}%` }} />
              </span>
              <span class="muted">{(each.day ?? "").slice(5)}</span>
              <span class="visually-hidden">
                {text(spent(each))}, {metric === "USD" ? "default models" : "with the prompt"}{" "}
                {text(beside(each))}
              </span>
            </li>
          ))}
        </ol>
      )}
      <p class="muted legend">
        <span class="key spent" aria-hidden="true" /> spent <span class="key baseline" aria-hidden="true" />{" "}
        the same tokens on the default models
      </p>
    </Panel>
  );
}
