import { describe, expect, it } from "vitest";
import { meaning, moved, ordered } from "./scores";

describe("moved", () => {
  it("stays within 0 and 1 and on the steps", () => {
    expect(moved(0.98, 1)).toBe(1);
    expect(moved(0.02, -1)).toBe(0);
    expect(moved(0.5, 1)).toBeCloseTo(0.55);
  });
  it("begins at the middle", () => expect(moved(undefined, 1)).toBe(0.5));
});

describe("ordered", () => {
  const scores = { A: 0.2, C: 0.9 };
  it("puts the best first and answers without a score last", () => {
    expect(ordered(["A", "B", "C"], "best", scores, () => 0)).toEqual(["C", "A", "B"]);
  });
  it("keeps every label when shuffled", () => {
    expect(ordered(["A", "B", "C"], "shuffled", scores, () => 0).sort()).toEqual(["A", "B", "C"]);
    expect(ordered(["A", "B", "C"], "shuffled", scores, () => 0)).not.toEqual(["A", "B", "C"]);
  });
});

it("names every score", () => {
  expect([1, 0.75, 0.5, 0.25, 0].map(meaning)).toEqual([
    "usable as it stands",
    "right, with a blemish",
    "usable after an edit",
    "mostly wrong",
    "harmful if used",
  ]);
});
