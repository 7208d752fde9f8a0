/** Facts that several views show: the tenant's status, its policies and its models. */
import { computed, effect, signal } from "@preact/signals";
import { tenantKey } from "../session";
import { ApiError, json } from "./client";
import type { DescribedModel, MemoryStatus, ModelList } from "./types";

export const status = signal<MemoryStatus | null>(null);
export const models = signal<DescribedModel[]>([]);
/** The error of the last attempt to load both. */
export const problem = signal<ApiError | null>(null);

/** The policy that the views are about. */
export const policyName = signal("auto");
export const policy = computed(
  () =>
    status.value?.policies.find((each) => each.policy === policyName.value) ??
    status.value?.policies[0] ??
    null,
);
/** Whether the demo provider serves, which plays recorded answers. */
export const recorded = computed(() => models.value.some((model) => model.owned_by === "demo"));

/** Load the facts again, for instance after teaching. */
export async function refresh(): Promise<void> {
  const key = tenantKey.value;
  if (key === null) return;
  try {
    const [found, list] = await Promise.all([
      json<MemoryStatus>("/v1/router/status"),
      json<ModelList>("/v1/models"),
    ]);
    if (tenantKey.value !== key) return;
    status.value = found;
    models.value = list.data.filter((each): each is DescribedModel => each.owned_by !== "pgrouter");
    problem.value = null;
  } catch (error) {
    if (tenantKey.value === key)
      problem.value = error instanceof ApiError ? error : new ApiError(String(error), 0);
  }
}

effect(() => {
  status.value = null;
  models.value = [];
  problem.value = null;
  if (tenantKey.value !== null) void refresh();
});
