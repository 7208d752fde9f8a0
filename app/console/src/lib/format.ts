/** Numbers and dates as text. */

/** US dollars with as many digits as the amount needs: $0.00032, $1.25. */
export function usd(amount: number | null | undefined): string {
  if (amount === null || amount === undefined) return "–";
  if (amount === 0) return "$0";
  const digits = Math.abs(amount) >= 1 ? 2 : Math.min(8, 1 - Math.floor(Math.log10(Math.abs(amount))));
  return `${amount < 0 ? "−" : ""}$${Math.abs(amount).toFixed(digits)}`;
}

/** A share from 0 to 1 as a percentage. */
export function percent(share: number | null | undefined, digits = 0): string {
  return share === null || share === undefined ? "–" : `${(share * 100).toFixed(digits)}%`;
}

/** A number with at most `digits` decimals. */
export function decimal(value: number | null | undefined, digits = 3): string {
  return value === null || value === undefined ? "–" : String(Number(value.toFixed(digits)));
}

/** A difference with its sign, which 0 has not. */
export function signed(value: number, digits = 3): string {
  const shown = Math.abs(value).toFixed(digits);
  return Number(shown) === 0 ? "0" : `${value < 0 ? "−" : "+"}${shown}`;
}

/** Milliseconds as ms or seconds. */
export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return "–";
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** A count with separators and its noun. */
export function count(n: number, one: string, many = `${one}s`): string {
  return `${n.toLocaleString("en")} ${n === 1 ? one : many}`;
}

/** A time of the server in the browser's zone. */
export function time(iso: string): string {
  return new Date(iso).toLocaleString("en", { dateStyle: "medium", timeStyle: "medium" });
}
