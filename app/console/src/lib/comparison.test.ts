import { describe, expect, it } from "vitest";
import { applied, EMPTY } from "./comparison";

const event = (name: string, data: unknown) => ({ event: name, data: JSON.stringify(data) });

describe("a blind comparison", () => {
  const events = [
    event("start", { label: "A" }),
    event("start", { label: "B" }),
    event("delta", { label: "B", text: "two " }),
    event("delta", { label: "A", text: "one" }),
    event("delta", { label: "B", text: "words" }),
    event("done", { label: "B", finish_reason: "stop", error: null }),
    event("done", { label: "A", finish_reason: null, error: { message: "hidden", status: 502 } }),
  ];
  const before = events.reduce(applied, EMPTY);

  it("collects each text under its label", () => {
    expect(before.answers.map((each) => each.text)).toEqual(["one", "two words"]);
    expect(before.answers.map((each) => each.done)).toEqual([true, true]);
  });

  it("has neither models nor costs before its end", () => {
    expect(before.answers.map((each) => [each.model, each.cost])).toEqual([
      [null, null],
      [null, null],
    ]);
    expect(before.ended).toBe(false);
  });

  it("has models, costs and errors at its end", () => {
    const cost = { prompt_tokens: 1, completion_tokens: 2, cost_usd: 0.1, latency_ms: 5 };
    const after = applied(
      before,
      event("end", {
        prompt: "p",
        answers: [
          { label: "A", model: "x", finish_reason: null, error: { message: "x is away" }, ...cost },
          { label: "B", model: "y", finish_reason: "stop", error: null, ...cost },
        ],
      }),
    );
    expect(after.ended).toBe(true);
    expect(after.answers.map((each) => [each.model, each.error, each.cost?.completion_tokens])).toEqual([
      ["x", "x is away", 2],
      ["y", null, 2],
    ]);
  });

  it("ignores events that it does not know", () => {
    expect(applied(before, event("news", {}))).toBe(before);
  });
});
