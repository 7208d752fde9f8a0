/** Scores of answers: 0 to 1 in steps, and the orders in which answers are shown. */

export const STEP = 0.05;

export type Scores = Readonly<Record<string, number>>;
export type Order = "label" | "best" | "shuffled";

/** Return a score moved by some steps, within 0 and 1; without a score it begins at the middle. */
export function moved(score: number | undefined, steps: number): number {
  const next = score === undefined ? 0.5 : score + steps * STEP;
  return Math.round(Math.min(1, Math.max(0, next)) / STEP) * STEP;
}

/** What a score means, by the nearest anchor. */
export function meaning(score: number): string {
  if (score >= 0.9) return "usable as it stands";
  if (score >= 0.65) return "right, with a blemish";
  if (score >= 0.4) return "usable after an edit";
  return score >= 0.15 ? "mostly wrong" : "harmful if used";
}

/** Return the labels in an order; answers without a score come last. `random` returns numbers from 0 to 1. */
export function ordered(labels: readonly string[], order: Order, scores: Scores, random: () => number) {
  const sorted = [...labels].sort();
  if (order === "best") return sorted.sort((a, b) => (scores[b] ?? -1) - (scores[a] ?? -1));
  if (order === "shuffled") {
    for (let i = sorted.length - 1; i > 0; i--) {
      const j = Math.floor(random() * (i + 1));
      [sorted[i], sorted[j]] = [sorted[j] ?? "", sorted[i] ?? ""];
    }
  }
  return sorted;
}
