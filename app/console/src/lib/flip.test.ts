import { describe, expect, it } from "vitest";
import { bestAt, flips, scoreAt, type Scored } from "./flip";

const small: Scored = { model: "small", quality: 0.7, cost_usd: 0.1, penalty: 0 };
const medium: Scored = { model: "medium", quality: 0.8, cost_usd: 0.4, penalty: 0 };
const large: Scored = { model: "large", quality: 0.9, cost_usd: 1, penalty: 0 };
const all = [large, medium, small];

describe("flips", () => {
  it("finds the nearest alpha in each direction", () => {
    // medium and large cross at 0.1 / 0.6, small and medium at 0.1 / 0.3.
    const found = flips(all, 0.25, 1);
    expect(found.map(({ model, towards }) => [model, towards])).toEqual([
      ["large", "lower"],
      ["small", "higher"],
    ]);
    expect(found[0]?.alpha).toBeCloseTo(1 / 6);
    expect(found[1]?.alpha).toBeCloseTo(1 / 3);
  });

  it("names the candidate that wins just beyond the crossing", () => {
    for (let alpha = 0; alpha < 1; alpha += 0.013) {
      for (const flip of flips(all, alpha, 1)) {
        const beyond = flip.alpha + (flip.towards === "lower" ? -1e-9 : 1e-9);
        expect(bestAt(all, beyond, 1)?.model).toBe(flip.model);
      }
    }
  });

  it("finds none for a candidate that is dominated", () => {
    const dominated: Scored = { model: "worse", quality: 0.6, cost_usd: 2, penalty: 0 };
    expect(flips([small, dominated], 0.1, 1)).toEqual([]);
  });

  it("ignores candidates with unknown numbers", () => {
    expect(flips([small, { ...large, quality: null }], 0.1, 1)).toEqual([]);
    expect(scoreAt({ ...large, cost_usd: null }, 0.1, 1)).toBeNull();
  });

  it("counts the penalty for leaving the conversation's model", () => {
    expect(bestAt([{ ...large, penalty: 0.5 }, small], 0, 1)?.model).toBe("small");
  });
});
