/** Which model would have been enough for a taught prompt. */

/** A score from which an answer counts as good. */
export const GOOD = 0.75;

/** The first of `models`, cheapest first, whose answer was good; null: none's was. */
export function sufficient(
  labelled: { scores: Record<string, number> },
  models: readonly string[],
): string | null {
  return models.find((model) => (labelled.scores[model] ?? 0) >= GOOD) ?? null;
}
