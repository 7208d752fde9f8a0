/** The reasons of decisions as short texts; the server's `why` has the numbers. */
const TEXTS: Record<string, string> = {
  learned: "The memory decided.",
  sticky: "The conversation stays with the model it began with.",
  cheapest: "The policy takes the cheapest candidate.",
  fastest: "The policy takes the fastest candidate.",
  weighted: "The policy draws a candidate by weight.",
  default: "The policy always takes its default model.",
  off: "Routing was switched off for the request.",
  cold: "The memory has too few examples yet.",
  low_support: "The nearest examples are too far away to be trusted.",
  capability: "Only some candidates can do what the request needs.",
  single_candidate: "There is only one candidate.",
  unpriced: "A candidate has no price.",
  no_signal: "The request has no text to compare.",
  embedding_failed: "The prompt could not be embedded.",
  memory_unavailable: "Postgres did not answer in time.",
  fallback: "The first model failed, and the next one served.",
  explore: "A candidate with few labels was tried.",
};

export function reasonText(reason: string): string {
  return TEXTS[reason] ?? reason;
}

/** What would let the memory decide next time, by reason; reasons without an entry need no cure. */
const CURES: Record<string, string> = {
  cold: "Teach more examples, or import a file: the memory decides from its seed count on.",
  low_support: "Teach examples like these prompts, or lower the policy's confidence_floor.",
  unpriced: "Give every candidate a price: pgrouter price put, or the Settings view.",
  capability:
    "Nothing is wrong: the request needs what one candidate alone can do. Add a cheaper model that can.",
  single_candidate: "Add a second candidate to the policy.",
  no_signal:
    "These requests have no text of a user, such as images alone; route them by a policy of their own.",
  embedding_failed: "The embedder failed or was too slow: see the log, or use the built-in one.",
  memory_unavailable:
    "Postgres did not answer within the deadline: see /readyz and the metric pgrouter_fail_opens_total.",
  off: "Routing was switched off: by the header X-Router, by ROUTER_BACKEND=none, or the request named a model.",
  default: "The policy's backend is none: set it to knn to let the memory decide.",
  fallback: "The first model failed: see its provider's errors in the decision.",
};

export function cureOf(reason: string): string | null {
  return CURES[reason] ?? null;
}

/** Every reason, for filters. */
export const REASONS = Object.keys(TEXTS);
