/** How far the memory of a policy is from deciding, and what to do next. */
import type { PolicyStatus } from "../api/types";
import { count } from "../lib/format";

export function Warmth({ policy }: { policy: PolicyStatus }) {
  const share = Math.min(1, policy.memories / Math.max(1, policy.seed_count));
  return (
    <div class={`warmth ${policy.ready ? "ready" : ""}`}>
      <div
        class="warmth-bar"
        role="progressbar"
        aria-label={`Memory of policy ${policy.policy}`}
        aria-valuemin={0}
        aria-valuemax={Math.max(1, policy.seed_count)}
        aria-valuenow={Math.min(policy.memories, policy.seed_count)}
        aria-valuetext={`${policy.memories} of ${policy.seed_count} memories`}
      >
        <span style={{ transform: `scaleX(${share})` }} />
      </div>
      <p>
        <strong>{count(policy.memories, "memory", "memories")}</strong>{" "}
        {policy.ready
          ? "· deciding"
          : `of ${policy.seed_count}: ${policy.needed} missing before the memory decides`}
      </p>
      <p class="muted">{policy.next_step}</p>
    </div>
  );
}
