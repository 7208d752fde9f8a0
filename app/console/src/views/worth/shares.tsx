/** Which models served, day by day, as stacked bars. */
import { json } from "../../api/client";
import { useQuery } from "../../api/query";
import { status } from "../../api/shared";
import type { UsageReport } from "../../api/types";
import { count, percent } from "../../lib/format";
import { colourOf } from "../../lib/models";
import { curl } from "../../lib/sql";
import { days } from "../../lib/worth";
import { tenantKey } from "../../session";
import { ModelName } from "../../ui/model";
import { Panel } from "../../ui/panel";
import { ErrorNote, Skeleton } from "../../ui/states";
import { usageSql } from "./sources";

const LENGTH = 14;
const PATH = `/v1/router/usage?since=${LENGTH}d&by=day,model`;

export function Shares() {
  const found = useQuery((signal) => json<UsageReport>(PATH, { signal }), [tenantKey.value]);
  const rows = found.data?.data ?? [];
  const list = days(rows, (found.data?.until ?? new Date().toISOString()).slice(0, 10), LENGTH);
  const most = Math.max(1, ...list.map((each) => each.requests));
  const models = [...new Set(rows.map((each) => each.model ?? "unknown"))].sort();
  return (
    <Panel
      title="Models by day"
      kind="worth-shares"
      curl={curl(PATH)}
      sql={status.value ? usageSql(status.value, LENGTH) : undefined}
    >
      {found.error && <ErrorNote error={found.error} retry={found.reload} />}
      {found.slow && <Skeleton />}
      {found.data && rows.length === 0 && (
        <p class="muted">No request in {LENGTH} days. Each model's share of requests will be drawn here.</p>
      )}
      {rows.length > 0 && (
        <>
          <ol class="worth-days">
            {list.map((each) => (
              <li key={each.day} title={titleOf(each)}>
                <span class="worth-stack" aria-hidden="true">
                  {each.models.map(({ model, requests }) => (
                    <span
                      key={model}
                      class={`colour-${colourOf(model)}`}
                      style={{ height: `${(100 * requests) / most}%` }}
                    />
                  ))}
                </span>
                <span class="muted" aria-hidden="true">
                  {Number(each.day.slice(8))}
                </span>
                <span class="visually-hidden">{titleOf(each)}</span>
              </li>
            ))}
          </ol>
          <p class="row worth-models">
            {models.map((model) => (
              <ModelName key={model} name={model} />
            ))}
            <span class="muted small push">all policies, days in UTC</span>
          </p>
        </>
      )}
    </Panel>
  );
}

function titleOf({ day, requests, models }: ReturnType<typeof days>[number]): string {
  const shares = models.map((each) => `${each.model} ${percent(each.requests / requests)}`).join(", ");
  return `${day}: ${count(requests, "request")}${shares === "" ? "" : `: ${shares}`}`;
}
