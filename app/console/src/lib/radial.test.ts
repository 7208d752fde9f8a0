import { describe, expect, it } from "vitest";
import { radial } from "./radial";

describe("radial", () => {
  it("puts the nearest near the centre and the farthest on the rim", () => {
    const r = radial([0.9, 0.5, 0.1]).map(({ x, y }) => Math.hypot(x, y));
    expect(r[0]).toBeCloseTo(0.18);
    expect(r[2]).toBeCloseTo(1);
    expect((r[1] ?? 0) > (r[0] ?? 0) && (r[1] ?? 0) < (r[2] ?? 0)).toBe(true);
  });

  it("places one neighbour, and neighbours that are equally near", () => {
    expect(radial([0.3])).toHaveLength(1);
    expect(radial([0.3, 0.3]).every(({ x, y }) => Number.isFinite(x) && Number.isFinite(y))).toBe(true);
  });
});
