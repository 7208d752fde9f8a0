import { describe, expect, it } from "vitest";
import { count, decimal, duration, percent, signed, usd } from "./format";

describe("format", () => {
  it("shows two significant digits of small amounts", () => {
    expect([usd(0.000318), usd(0.0000256), usd(1.25), usd(0), usd(null)]).toEqual([
      "$0.00032",
      "$0.000026",
      "$1.25",
      "$0",
      "–",
    ]);
  });

  it("shows unknown numbers as a dash", () => {
    expect([percent(null), decimal(undefined), duration(null)]).toEqual(["–", "–", "–"]);
  });

  it("shows the sign of a difference", () => {
    expect([signed(0.0312), signed(-0.02), signed(-0.0001), signed(0)]).toEqual([
      "+0.031",
      "−0.020",
      "0",
      "0",
    ]);
  });

  it("uses the singular for one", () => {
    expect([count(1, "memory", "memories"), count(1204, "memory", "memories")]).toEqual([
      "1 memory",
      "1,204 memories",
    ]);
  });
});
