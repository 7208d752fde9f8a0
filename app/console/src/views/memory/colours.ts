/** The colours of the map: by the cheapest model that is good enough, or by task. */
import type { MemoryNode } from "../../api/types";
import { colourOf } from "../../lib/models";
import { sufficient } from "../../lib/sufficient";
import { counted, NONE } from "./filters";

export type ColourBy = "suffices" | "task";

/** Tokens of the colours by their numbers: those of models and tasks, no model suffices, no task. */
export const TOKENS = [...Array.from({ length: 8 }, (_, i) => `--model-${i}`), "--bad", "--line-strong"];
const INSUFFICIENT = 8;
const UNTAGGED = 9;
/** Tasks beyond the most frequent share a colour. */
const OTHER = 7;

export interface LegendEntry {
  /** The value of the filter. */
  value: string;
  label: string;
  colour: number;
  count: number;
}

export interface Colouring {
  colours: Uint8Array;
  legend: LegendEntry[];
}

export function colouring(
  nodes: readonly MemoryNode[],
  by: ColourBy,
  models: readonly string[],
  hidden: ReadonlySet<number>,
): Colouring {
  const values = nodes.map((node) => (by === "task" ? node.task : sufficient(node, models)) ?? NONE);
  const counts = counted(values.filter((_, i) => !hidden.has(nodes[i]?.id ?? -1)));
  // Models keep the order of their prices.
  if (by === "suffices") {
    const rank = (value: string) => (value === NONE ? models.length : models.indexOf(value));
    counts.sort(([a], [b]) => rank(a) - rank(b));
  }
  const tasks = counts.map(([value]) => value).filter((value) => value !== NONE);
  const colour = (value: string) => {
    if (by === "suffices") return value === NONE ? INSUFFICIENT : colourOf(value);
    return value === NONE ? UNTAGGED : Math.min(OTHER, tasks.indexOf(value));
  };
  const label = (value: string) => {
    if (by === "task") return value === NONE ? "no task" : value;
    return value === NONE ? "no model suffices" : value;
  };
  const known = new Map(counts.map(([value]) => [value, colour(value)]));
  return {
    colours: Uint8Array.from(values, (value) => known.get(value) ?? OTHER),
    legend: counts.map(([value, count]) => ({
      value,
      label: label(value),
      colour: known.get(value) ?? OTHER,
      count,
    })),
  };
}
