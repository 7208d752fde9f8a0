import { describe, expect, it } from "vitest";
import { merged } from "./live";

const at = (id: string, decided_at: string) => ({ id, decided_at });

describe("merged", () => {
  it("puts an item that arrives late where its time is", () => {
    const known = [at("c", "3"), at("a", "1")];
    expect(merged(known, [at("b", "2")], 10).map(({ id }) => id)).toEqual(["c", "b", "a"]);
  });

  it("keeps one of an item that arrives twice, and the newest of too many", () => {
    expect(
      merged([at("a", "1"), at("b", "2")].reverse(), [at("b", "2"), at("c", "3")], 2).map(({ id }) => id),
    ).toEqual(["c", "b"]);
  });
});
