/** What would have to change for another candidate to win. */

export interface Scored {
  model: string;
  quality: number | null;
  cost_usd: number | null;
  penalty: number | null;
}

export interface Flip {
  /** The candidate that would win. */
  model: string;
  /** The alpha from which it does, towards `towards`. */
  alpha: number;
  towards: "lower" | "higher";
}

/** The score of a candidate: quality - alpha * cost / unit - penalty; null: a number is unknown. */
export function scoreAt(candidate: Scored, alpha: number, unit: number | null): number | null {
  if (candidate.quality === null || candidate.cost_usd === null) return null;
  const cost = unit === null || unit === 0 ? 0 : candidate.cost_usd / unit;
  return candidate.quality - alpha * cost - (candidate.penalty ?? 0);
}

/** The candidate with the highest score at an alpha; among equals the cheaper one. */
export function bestAt(candidates: readonly Scored[], alpha: number, unit: number | null): Scored | null {
  let best: { candidate: Scored; score: number } | null = null;
  for (const candidate of candidates) {
    const score = scoreAt(candidate, alpha, unit);
    if (score === null) continue;
    const better =
      best === null ||
      score > best.score ||
      (score === best.score && (candidate.cost_usd ?? 0) < (best.candidate.cost_usd ?? 0));
    if (better) best = { candidate, score };
  }
  return best?.candidate ?? null;
}

/**
 * The alphas, 0 to 100, nearest below and above the present one at which another candidate overtakes the winner.
 * Scores are lines in alpha, so each pair of candidates crosses at most once.
 */
export function flips(candidates: readonly Scored[], alpha: number, unit: number | null): Flip[] {
  const winner = bestAt(candidates, alpha, unit);
  if (winner === null || unit === null || unit === 0) return [];
  const found: Flip[] = [];
  for (const towards of ["lower", "higher"] as const) {
    let nearest: Flip | null = null;
    for (const other of candidates) {
      const crossing = other === winner ? null : crossingOf(winner, other, unit);
      if (crossing === null || crossing < 0 || crossing > 100) continue;
      if (towards === "lower" ? crossing > alpha : crossing < alpha) continue;
      // Beyond the crossing, the candidate with the higher cost loses as alpha grows.
      const overtakes = (other.cost_usd ?? 0) > (winner.cost_usd ?? 0) === (towards === "lower");
      if (!overtakes) continue;
      const closer = nearest === null || Math.abs(crossing - alpha) < Math.abs(nearest.alpha - alpha);
      if (closer) nearest = { model: other.model, alpha: crossing, towards };
    }
    if (nearest) found.push(nearest);
  }
  return found;
}

function crossingOf(a: Scored, b: Scored, unit: number): number | null {
  if (a.quality === null || b.quality === null || a.cost_usd === null || b.cost_usd === null) return null;
  const slope = (a.cost_usd - b.cost_usd) / unit;
  if (slope === 0) return null;
  return (a.quality - (a.penalty ?? 0) - b.quality + (b.penalty ?? 0)) / slope;
}
