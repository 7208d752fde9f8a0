/** What a backtest says about targets, and how settings differ. */

interface Point {
  alpha: number | null;
  cost_usd: number;
  quality: number;
  cost_ratio: number | null;
  quality_ratio: number | null;
  quality_ratio_low: number | null;
}

/** The alphas of the curve: those that calibration compares, and between 0.02 and 2 one more in each gap. */
const GRID = Array.from({ length: 52 }, (_, i) => 0.004 * 1.2 ** i);
const BETWEEN = GRID.filter((each) => each > 0.02 && each < 2).map((each) => each * Math.sqrt(1.2));
export const ALPHAS = [0, ...[...GRID, ...BETWEEN].sort((a, b) => a - b).map(rounded)];
/** Those that calibration compares. */
const COMPARED: ReadonlySet<number> = new Set([0, ...GRID.map(rounded)]);

function rounded(alpha: number): number {
  return Number(alpha.toFixed(6));
}

/** The values nearest to those given (least squares) that never rise, as router_internal._antitonic_fit has them. */
export function antitonicFit(values: readonly number[]): number[] {
  const runs: { sum: number; size: number }[] = [];
  for (const value of values) {
    let run = { sum: value, size: 1 };
    for (let above = runs[runs.length - 1]; above && above.sum / above.size < run.sum / run.size;) {
      runs.pop();
      run = { sum: above.sum + run.sum, size: above.size + run.size };
      above = runs[runs.length - 1];
    }
    runs.push(run);
  }
  return runs.flatMap(({ sum, size }) => Array.from({ length: size }, () => sum / size));
}

export interface Support<P> {
  /** The cheapest point that keeps the target; null: none does. */
  point: P | null;
  /** The highest target that a point keeps. */
  best: number;
}

/** Which point of a curve, of those that calibration compares, keeps a share of the default model's quality, at the confidence of its bounds. */
export function supported<P extends Point>(curve: readonly P[], target: number): Support<P> {
  const points = curve
    .filter((each) => each.alpha !== null && COMPARED.has(each.alpha) && each.quality_ratio_low !== null)
    .sort((a, b) => (a.alpha ?? 0) - (b.alpha ?? 0));
  const fit = antitonicFit(points.map((each) => each.quality_ratio_low ?? 0));
  const kept = points.map((point, i) => ({
    point,
    low: Math.min(point.quality_ratio_low ?? 0, fit[i] ?? 0),
  }));
  const good = kept.filter((each) => each.low >= target).sort((a, b) => a.point.cost_usd - b.point.cost_usd);
  return { point: good[0]?.point ?? null, best: Math.max(0, ...kept.map((each) => each.low)) };
}

/** The best share of worse answers that an error of calibration names, rounded up to `step`; null: it names none. */
export function supportedShare(message: string, step: number): number | null {
  const found = /best supported share is ([\d.]*\d)/.exec(message);
  return found === null ? null : Math.round(Math.ceil(Number(found[1]) / step - 1e-9) * step * 1e6) / 1e6;
}

/** Whether two points of a curve decide alike. */
export function alike(one: Point, other: Point): boolean {
  return one.cost_usd === other.cost_usd && one.quality === other.quality;
}

/** The points of a curve by rising cost, one for each cost: the better one, and one that is in use before others. */
export function byCost<P extends Point & { in_use: boolean }>(curve: readonly P[]): P[] {
  const found: P[] = [];
  for (const point of [...curve].sort(
    (a, b) => a.cost_usd - b.cost_usd || Number(b.in_use) - Number(a.in_use) || b.quality - a.quality,
  )) {
    if (found[found.length - 1]?.cost_usd !== point.cost_usd) found.push(point);
  }
  return found;
}

/** The quality of the best mixture of single models at a cost; null below the cheapest. */
export function blendAt(
  blend: readonly { cost_usd: number; quality: number }[],
  cost: number,
): number | null {
  let before: { cost_usd: number; quality: number } | undefined;
  for (const corner of blend) {
    if (corner.cost_usd > cost) {
      if (!before) return null;
      const share = (cost - before.cost_usd) / (corner.cost_usd - before.cost_usd);
      return before.quality + share * (corner.quality - before.quality);
    }
    before = corner;
  }
  return before?.quality ?? null;
}

export interface Difference {
  name: string;
  before: string;
  after: string;
}

/** A value of a setting as text; numbers with up to six digits. */
export function shown(value: unknown): string {
  if (Array.isArray(value)) return value.map(shown).join(", ");
  if (typeof value === "number") return String(Number(value.toPrecision(6)));
  if (value === null || value === undefined) return "–";
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** The settings that differ; those of `after` alone count. */
export function differences(before: object | null, after: object): Difference[] {
  const known = new Map<string, unknown>(Object.entries(before ?? {}));
  return Object.entries(after)
    .filter(([name, value]) => before === null || JSON.stringify(known.get(name)) !== JSON.stringify(value))
    .map(([name, value]) => ({ name, before: shown(known.get(name)), after: shown(value) }));
}

export interface Day {
  day: string;
  requests: number;
  /** Requests by model, most frequent first over all days. */
  models: { model: string; requests: number }[];
}

/** The last `length` days up to `today` (YYYY-MM-DD), each with its requests by model. */
export function days(
  rows: readonly { day?: string; model?: string | null; requests: number }[],
  today: string,
  length: number,
): Day[] {
  const totals = new Map<string, number>();
  for (const each of rows) {
    const model = each.model ?? "unknown";
    totals.set(model, (totals.get(model) ?? 0) + each.requests);
  }
  const order = [...totals].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).map(([model]) => model);
  const last = Date.parse(`${today}T00:00:00Z`);
  return Array.from({ length }, (_, i) => {
    const day = new Date(last - (length - 1 - i) * 86_400_000).toISOString().slice(0, 10);
    const models = order.flatMap((model) => {
      const requests = rows
        .filter((each) => each.day === day && (each.model ?? "unknown") === model)
        .reduce((sum, each) => sum + each.requests, 0);
      return requests > 0 ? [{ model, requests }] : [];
    });
    return { day, requests: models.reduce((sum, each) => sum + each.requests, 0), models };
  });
}
