/** The SQL of the view's panels. */
import type { MemoryStatus } from "../../api/types";
import { literal, tenantId } from "../../lib/sql";
import { ALPHAS } from "../../lib/worth";
import type { Goal } from "./measure";

function policyId(status: MemoryStatus, policy: string): string {
  return `(select policy_id from router.list_policies(${tenantId(status.tenant)}) where name = ${literal(policy)})`;
}

function spaceId(status: MemoryStatus): string {
  return `(select space_id from router.spaces where name = ${literal(status.embedder)})`;
}

export function backtestSql(
  status: MemoryStatus,
  policy: string,
  sample: number,
  confidence: number,
): string {
  return `select * from router.backtest(
  ${tenantId(status.tenant)},
  ${policyId(status, policy)},
  ${spaceId(status)},
  p_sample => ${sample}, p_confidence => ${confidence},
  p_alphas => '{${ALPHAS.join(",")}}'
);`;
}

export function calibrateSql(
  status: MemoryStatus,
  policy: string,
  goal: Goal,
  confidence: number,
  tune: boolean,
): string {
  const certified = "at_most" in goal ? `, p_at_most => ${goal.at_most}` : "";
  return `-- p_write => true changes the policy.
select * from router.calibrate(
  ${tenantId(status.tenant)},
  ${policyId(status, policy)},
  ${spaceId(status)},
  ${"target" in goal ? goal.target : "null"}, ${confidence}, p_tune => ${String(tune)}, p_write => false${certified}
);`;
}

export function changesSql(status: MemoryStatus, policy: string, limit: number): string {
  return `select * from router.list_policy_changes(
  ${tenantId(status.tenant)},
  ${policyId(status, policy)}, ${limit}
);
-- select router.undo_policy_change(tenant, change) undoes one.`;
}

export function savingsSql(status: MemoryStatus, policy: string): string {
  return `select * from router.savings(
  ${tenantId(status.tenant)},
  ${policyId(status, policy)}
);`;
}

export function usageSql(status: MemoryStatus, length: number): string {
  return `select * from router.usage(${tenantId(status.tenant)}, now() - interval '${length} days', p_by => '{day,model}');`;
}
