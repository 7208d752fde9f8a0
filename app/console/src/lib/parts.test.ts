import { describe, expect, it } from "vitest";
import { barOf, partsOf } from "./parts";

describe("the parts of an estimate", () => {
  it("add up to the quality", () => {
    const [prior, ease, own, borrowed, share] = [0.6, -0.05, 0.2, 0.1, 0.25];
    const quality = (1 - share) * (prior + ease + own) + share * (prior + borrowed);
    const found = partsOf({ quality, prior, ease, borrowed, share });
    expect(found?.ease).toBeCloseTo(0.75 * -0.05);
    expect(found?.own).toBeCloseTo(0.75 * 0.2);
    expect(found?.borrowed).toBeCloseTo(0.25 * 0.1);
    expect(found && found.prior + found.ease + found.own + (found.borrowed ?? 0)).toBeCloseTo(quality);
  });

  it("have nothing borrowed without a matrix", () => {
    const found = partsOf({ quality: 0.7, prior: 0.6, ease: 0.04, borrowed: null, share: 0 });
    expect(found?.own).toBeCloseTo(0.06);
    expect(found?.borrowed).toBeNull();
  });

  it("are unknown in the ledger and where there is no estimate", () => {
    expect(partsOf({ quality: 0.7, prior: 0.6 })).toBeNull();
    expect(partsOf({ quality: null, prior: null, ease: 0, borrowed: null, share: 0 })).toBeNull();
  });
});

describe("the bar of an estimate", () => {
  const rounded = (quality: number, prior: number) =>
    Object.values(barOf(quality, prior)).map((each) => Math.round(100 * (each as number)));

  it("is the prior and what neighbours add or remove", () => {
    expect(rounded(0.8, 0.6)).toEqual([60, 20, 0]);
    expect(rounded(0.5, 0.6)).toEqual([50, 0, 10]);
  });

  it("stays between 0 and 1", () => {
    expect(rounded(1.1, 0.9)).toEqual([90, 10, 0]);
    expect(rounded(-0.1, 0.1)).toEqual([0, 0, 10]);
  });
});
