import { expect, test, vi } from "vitest";

vi.stubGlobal("location", { pathname: "/console/memory", hash: "" });
vi.stubGlobal("addEventListener", () => undefined);
const { counted, NONE, passes } = await import("./filters");

const any = { search: "", task: "", source: "", suffices: "" };
const memory = { task: "sums", source: "human", scores: { small: 0.2, large: 0.9 } } as const;

test("a memory passes only if it passes every filter", () => {
  const models = ["small", "large"];
  expect(passes(memory, any, models)).toBe(true);
  expect(passes(memory, { ...any, task: "sums", suffices: "large" }, models)).toBe(true);
  expect(passes(memory, { ...any, task: "sums", suffices: "small" }, models)).toBe(false);
  expect(passes(memory, { ...any, task: NONE }, models)).toBe(false);
  expect(passes({ ...memory, task: null }, { ...any, task: NONE }, models)).toBe(true);
  expect(passes({ ...memory, scores: {} }, { ...any, suffices: NONE }, models)).toBe(true);
});

test("values are counted, the most frequent first", () => {
  expect(counted(["b", "a", null, "b"])).toEqual([
    ["b", 2],
    [NONE, 1],
    ["a", 1],
  ]);
});
