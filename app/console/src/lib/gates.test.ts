import { describe, expect, it } from "vitest";
import { declined, gatesFor } from "./gates";

describe("gatesFor", () => {
  it("passes every gate of a learned decision", () => {
    expect(gatesFor("learned").every((gate) => gate.state === "passed")).toBe(true);
  });

  it("stops at the gate that declined", () => {
    const states = gatesFor("cold").map((gate) => gate.state);
    expect(states.filter((state) => state === "declined")).toHaveLength(1);
    expect(states.slice(0, states.indexOf("declined")).every((state) => state === "passed")).toBe(true);
    expect(states.slice(states.indexOf("declined") + 1).every((state) => state === "not reached")).toBe(true);
  });
});

describe("declined", () => {
  it("is not said of a conversation that stays with its model", () => {
    expect([declined("cold"), declined("sticky"), declined("learned"), declined("explore")]).toEqual([
      true,
      false,
      false,
      false,
    ]);
  });
});
