/** Places of a prompt's neighbours around it: near the centre are the similar ones. */

export interface Point {
  x: number;
  y: number;
}

/** The golden angle, which spreads points without a pattern of rays. */
const ANGLE = Math.PI * (3 - Math.sqrt(5));

/**
 * Points in the unit circle for similarities in descending order. The distance from the centre grows with the
 * dissimilarity, on a scale on which the nearest is at 0.18 and the farthest at 1.
 */
export function radial(similarities: readonly number[]): Point[] {
  const nearest = similarities[0] ?? 1;
  const farthest = similarities[similarities.length - 1] ?? 0;
  const range = Math.max(nearest - farthest, 1e-9);
  return similarities.map((similarity, i) => {
    const r = 0.18 + 0.82 * Math.min(1, Math.max(0, (nearest - similarity) / range));
    return { x: r * Math.cos(i * ANGLE), y: r * Math.sin(i * ANGLE) };
  });
}
