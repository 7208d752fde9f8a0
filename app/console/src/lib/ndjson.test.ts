import { expect, it } from "vitest";
import { LineSplitter } from "./ndjson";

it("joins what was cut and passes empty lines over", () => {
  const splitter = new LineSplitter();
  expect(splitter.feed('{"a": 1}\n\n{"b"')).toEqual([{ a: 1 }]);
  expect(splitter.feed(": 2}\n")).toEqual([{ b: 2 }]);
});
