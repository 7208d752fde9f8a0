/** Cost by day, beside what the default models would have cost. */
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

export function Spend() {
  const found = useQuery((signal) => json<UsageReport>(PATH, { signal }), [tenantKey.value]);
  const tenant = status.value?.tenant;
  const rows = found.data?.data ?? [];
  const highest = Math.max(1e-12, ...rows.map((each) => Math.max(each.cost_usd, each.baseline_usd)));
  const total = found.data?.total;
  return (
    <Panel
      title="Cost by day"
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
              title={`${each.day ?? ""}: ${usd(each.cost_usd)} of ${usd(each.baseline_usd)}, ${count(each.requests, "request")}`}
            >
              <span class="day-bars" aria-hidden="true">
                <span class="baseline" style={{ height: `${(100 * each.baseline_usd) / highest}%` }} />
                <span class="spent" style={{ height: `${(100 * each.cost_usd) / highest}%` }} />
              </span>
              <span class="muted">{(each.day ?? "").slice(5)}</span>
              <span class="visually-hidden">
                {usd(each.cost_usd)}, default models {usd(each.baseline_usd)}
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
