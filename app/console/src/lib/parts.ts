/** What an estimate is made of. */

export interface Estimated {
  quality: number | null;
  prior: number | null;
  ease?: number | null;
  borrowed?: number | null;
  share?: number | null;
}

/** Terms that add up to the quality. */
export interface Parts {
  prior: number;
  /** How easy the prompt is by the neighbours' labels of all candidates. */
  ease: number;
  /** What the neighbours' labels of the model itself add. */
  own: number;
  /** What the labels of all candidates say of it, by the fitted matrix; null: no matrix is used. */
  borrowed: number | null;
}

/** The parts of an estimate; null: there is no estimate, or they are unknown, as in the ledger. */
export function partsOf({ quality, prior, ease, borrowed, share }: Estimated): Parts | null {
  if (quality === null || prior === null || ease == null || share == null) return null;
  const eased = (1 - share) * ease;
  const lent = borrowed == null ? null : share * borrowed;
  return { prior, ease: eased, own: quality - prior - eased - (lent ?? 0), borrowed: lent };
}

/** The bar of an estimate, as shares of its length: `added` or `removed` is 0. */
export interface Bar {
  /** The prior, as far as the quality reaches. */
  prior: number;
  /** By how much the neighbours raise the estimate. */
  added: number;
  /** By how much they lower it: from the quality up to the prior. */
  removed: number;
}

/** Draw an estimate between 0 and 1. */
export function barOf(quality: number, prior: number): Bar {
  const [reached, begun] = [within(quality), within(prior)];
  return {
    prior: Math.min(reached, begun),
    added: Math.max(0, reached - begun),
    removed: Math.max(0, begun - reached),
  };
}

function within(value: number): number {
  return Math.min(1, Math.max(0, value));
}
