/** What the map and the list show; it is in the address, so that it can be sent to a colleague. */
import type { MemoryNode } from "../../api/types";
import { sufficient } from "../../lib/sufficient";
import { place } from "../../location";

/** A value of a filter that stands for null. */
export const NONE = "(none)";

export interface Filters {
  search: string;
  /** Empty: any; NONE: memories without a task tag. */
  task: string;
  source: string;
  /** The cheapest model that is good enough; NONE: no model is. */
  suffices: string;
}

export function filtersOfAddress(): Filters {
  const value = (name: string) => place.value.query.get(name) ?? "";
  return {
    search: value("search"),
    task: value("task"),
    source: value("source"),
    suffices: value("suffices"),
  };
}

type Labelled = Pick<MemoryNode, "task" | "source" | "scores">;

/** Whether a memory passes every filter but the search, which the server does. */
export function passes(memory: Labelled, filters: Filters, models: readonly string[]): boolean {
  if (filters.task !== "" && (memory.task ?? NONE) !== filters.task) return false;
  if (filters.source !== "" && memory.source !== filters.source) return false;
  return filters.suffices === "" || (sufficient(memory, models) ?? NONE) === filters.suffices;
}

/** The distinct values with their counts, the most frequent first. */
export function counted(values: Iterable<string | null>): [string, number][] {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value ?? NONE, (counts.get(value ?? NONE) ?? 0) + 1);
  return [...counts].sort(([a, m], [b, n]) => n - m || a.localeCompare(b));
}
