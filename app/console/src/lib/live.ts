/** A list of the newest items, without doubles, of limited length. */

interface Dated {
  id: string;
  decided_at: string;
}

/** Return `known` with `arrived` added, newest first, at most `limit` long; an item that is known is replaced. */
export function merged<T extends Dated>(known: readonly T[], arrived: readonly T[], limit: number): T[] {
  const byId = new Map(known.map((each) => [each.id, each]));
  for (const each of arrived) byId.set(each.id, each);
  return [...byId.values()]
    .sort((a, b) =>
      a.decided_at === b.decided_at ? (a.id < b.id ? 1 : -1) : a.decided_at < b.decided_at ? 1 : -1,
    )
    .slice(0, limit);
}
