import { expect, test } from "vitest";
import { sufficient } from "./sufficient";

test("the cheapest good model is enough", () => {
  expect(sufficient({ scores: { small: 0.75, large: 1 } }, ["small", "large"])).toBe("small");
  expect(sufficient({ scores: { small: 0.74, large: 0.9 } }, ["small", "large"])).toBe("large");
});

test("a model without a label is not enough", () => {
  expect(sufficient({ scores: { small: 0.2 } }, ["small", "large"])).toBeNull();
  expect(sufficient({ scores: {} }, [])).toBeNull();
});
