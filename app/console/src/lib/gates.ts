/** The conditions under which a request is routed, in the order in which the router checks them. */

export interface Gate {
  name: string;
  /** What the gate asks. */
  question: string;
  state: "passed" | "declined" | "not reached";
}

const GATES: { name: string; question: string; reasons: readonly string[] }[] = [
  {
    name: "switched on",
    question: "Is routing switched on for this policy and request?",
    reasons: ["off", "default"],
  },
  {
    name: "capability",
    question: "Can more than one candidate serve what the request needs?",
    reasons: ["capability", "single_candidate"],
  },
  { name: "memory reachable", question: "Did Postgres answer in time?", reasons: ["memory_unavailable"] },
  { name: "sticky", question: "Is it a new conversation, not bound to a model yet?", reasons: ["sticky"] },
  { name: "warm", question: "Has the memory enough examples?", reasons: ["cold"] },
  {
    name: "signal",
    question: "Is there text to compare, and was it embedded?",
    reasons: ["no_signal", "embedding_failed"],
  },
  { name: "priced", question: "Is the price of every candidate known?", reasons: ["unpriced"] },
  { name: "support", question: "Are near examples similar enough to be trusted?", reasons: ["low_support"] },
];

/** The gates as they stand for a decision's reason: those before the one that declined passed. */
export function gatesFor(reason: string): Gate[] {
  const stop = GATES.findIndex((gate) => gate.reasons.includes(reason));
  return GATES.map(({ name, question }, i) => ({
    name,
    question,
    state: stop < 0 || i < stop ? "passed" : i === stop ? "declined" : "not reached",
  }));
}

/** Whether a reason means that the default model serves because a step was uncertain. */
export function declined(reason: string): boolean {
  return (
    GATES.some((gate) => gate.reasons.includes(reason)) &&
    reason !== "sticky" &&
    reason !== "single_candidate"
  );
}
