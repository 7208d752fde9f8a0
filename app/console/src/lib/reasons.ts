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
