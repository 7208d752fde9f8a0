/** How often each reason occurred, with what would let the memory decide next time. */
import { json } from "../../api/client";
import { useQuery } from "../../api/query";
import { status } from "../../api/shared";
import type { ReasonCount } from "../../api/types";
import { count, percent } from "../../lib/format";
import { declined } from "../../lib/gates";
import { cureOf, reasonText } from "../../lib/reasons";
import { curl, literal, tenantId } from "../../lib/sql";
import { tenantKey } from "../../session";
import { Panel } from "../../ui/panel";
import { ErrorNote, Skeleton } from "../../ui/states";

export function Declines({ since }: { since: string }) {
  const path = `/v1/router/decisions/reasons?since=${since}`;
  const found = useQuery(
    (signal) => json<{ data: ReasonCount[] }>(path, { signal }),
    [path, tenantKey.value],
  );
  const rows = found.data?.data ?? [];
  const all = rows.reduce((sum, each) => sum + each.requests, 0);
  const tenant = status.value?.tenant;
  return (
    <Panel
      title="Why"
      curl={curl(path)}
      sql={
        tenant === undefined
          ? undefined
          : `select * from router.reasons(${tenantId(tenant)}, now() - interval ${literal(since)});`
      }
    >
      {found.error && <ErrorNote error={found.error} retry={found.reload} />}
      {found.slow && <Skeleton />}
      {found.data && rows.length === 0 && <p class="muted">No request in this time.</p>}
      <ul class="reasons">
        {rows.map((each) => (
          <li key={`${each.policy ?? ""} ${each.reason}`}>
            <p class="row">
              <span class={`badge ${declined(each.reason) ? "warn" : ""}`}>{each.reason}</span>
              {each.policy !== null && <span class="muted">{each.policy}</span>}
              <span class="push">
                {percent(each.share)} · {count(each.requests, "request")}
              </span>
            </p>
            <span class={`meter ${declined(each.reason) ? "declined" : ""}`} aria-hidden="true">
              <span style={{ transform: `scaleX(${all === 0 ? 0 : each.requests / all})` }} />
            </span>
            <p class="muted">
              {reasonText(each.reason)} {cureOf(each.reason)}
            </p>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
