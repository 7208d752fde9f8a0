import { describe, expect, it } from "vitest";
import { ALPHAS, antitonicFit, blendAt, byCost, days, differences, supported, supportedShare } from "./worth";

function point(alpha: number, cost: number, low: number) {
  return {
    alpha,
    in_use: false,
    cost_usd: cost,
    quality: low,
    cost_ratio: cost,
    quality_ratio: low,
    quality_ratio_low: low,
  };
}

describe("ALPHAS", () => {
  it("are at most as many as the server takes, ascending and without doubles", () => {
    expect(ALPHAS.length).toBeLessThanOrEqual(100);
    expect(new Set(ALPHAS).size).toBe(ALPHAS.length);
    expect([...ALPHAS].sort((a, b) => a - b)).toEqual(ALPHAS);
    // Calibration's own: 0, then each a fifth larger than the one before.
    expect(ALPHAS).toContain(0.264989);
  });
});

describe("antitonicFit", () => {
  it("averages rises away, as the SQL does", () => {
    const found = antitonicFit([1, 0.8, 0.9, 0.7, 0.2, 0.4, 0.3]);
    [1, 0.85, 0.85, 0.7, 0.3, 0.3, 0.3].forEach((each, i) => expect(found[i]).toBeCloseTo(each));
    expect(antitonicFit([])).toEqual([]);
  });
});

describe("supported", () => {
  const curve = [
    point(0, 1, 1),
    point(0.106493, 0.8, 0.97),
    point(0.220825, 0.5, 0.9),
    point(0.381585, 0.1, 0.6),
  ];

  it("is the cheapest point that keeps the target", () => {
    expect(supported(curve, 0.9).point?.alpha).toBe(0.220825);
    expect(supported(curve, 0.98).point?.alpha).toBe(0);
  });

  it("names the best that can be had", () => {
    expect(supported(curve, 1.02)).toEqual({ point: null, best: 1 });
    expect(supported([], 0.5)).toEqual({ point: null, best: 0 });
  });

  it("does not offer what calibration does not compare", () => {
    expect(supported([point(0, 1, 1), point(0.1234, 0.5, 0.99)], 0.9).point?.alpha).toBe(0);
  });

  it("does not trust a bound that rises with alpha", () => {
    const lucky = [point(0, 1, 1), point(0.106493, 0.8, 0.9), point(0.220825, 0.5, 0.96)];
    expect(supported(lucky, 0.95).point?.alpha).toBe(0);
  });
});

describe("supportedShare", () => {
  it("is read from the error and rounded up to what the slider has", () => {
    const error =
      "at_most 0.01 is out of reach at confidence 0.9: the best supported share is 0.066, because 1 of 50";
    expect(supportedShare(error, 0.005)).toBe(0.07);
    expect(supportedShare("the best supported share is 0.065, because", 0.005)).toBe(0.065);
    expect(supportedShare("too few memories", 0.005)).toBeNull();
  });
});

describe("byCost", () => {
  it("keeps one point for each cost, the one in use first", () => {
    const own = { ...point(0.3, 0.5, 0.9), in_use: true };
    expect(byCost([point(0, 1, 1), point(0.2, 0.5, 0.9), own])).toEqual([own, point(0, 1, 1)]);
  });
});

describe("blendAt", () => {
  const blend = [
    { cost_usd: 1, quality: 0.5 },
    { cost_usd: 3, quality: 0.9 },
  ];
  it("lies on the line between two models", () => {
    expect(blendAt(blend, 2)).toBeCloseTo(0.7);
    expect(blendAt(blend, 9)).toBe(0.9);
    expect(blendAt(blend, 0.5)).toBeNull();
  });
});

describe("differences", () => {
  it("has the settings that differ as text", () => {
    expect(differences({ alpha: 0.1, k: 100 }, { alpha: 0.264989123, k: 100 })).toEqual([
      { name: "alpha", before: "0.1", after: "0.264989" },
    ]);
    expect(differences(null, { models: ["a", "b"] })).toEqual([
      { name: "models", before: "–", after: "a, b" },
    ]);
  });
});

describe("days", () => {
  it("fills days without requests and keeps the order of models", () => {
    const found = days(
      [
        { day: "2026-03-02", model: "small", requests: 1 },
        { day: "2026-03-02", model: "large", requests: 2 },
        { day: "2026-02-28", model: "small", requests: 5 },
        { day: "2026-01-01", model: "small", requests: 9 },
      ],
      "2026-03-02",
      3,
    );
    expect(found.map((each) => [each.day, each.requests])).toEqual([
      ["2026-02-28", 5],
      ["2026-03-01", 0],
      ["2026-03-02", 3],
    ]);
    expect(found[2]?.models.map((each) => each.model)).toEqual(["small", "large"]);
  });
});
