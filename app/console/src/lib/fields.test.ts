import { describe, expect, it } from "vitest";
import { changed, toText, toValue, type Field } from "./fields";

describe("toValue", () => {
  it("is the inverse of toText", () => {
    expect(toValue(toText(0.265), "number")).toBe(0.265);
    expect(toValue(toText(["a", "b"]), "list")).toEqual(["a", "b"]);
    expect(toValue(toText(null), "maybe")).toBeNull();
    expect(toValue(toText(false), "maybe")).toBe(false);
  });

  it("leaves what is no number to the server", () => expect(toValue("many", "number")).toBe("many"));
  it("drops empty items of a list", () => expect(toValue("a,, b ,", "list")).toEqual(["a", "b"]));
});

describe("changed", () => {
  const fields: Field[] = [
    { name: "name", kind: "text", fixed: true },
    { name: "alpha", kind: "number" },
    { name: "tools", kind: "maybe" },
  ];

  it("has only what differs, and null for what was emptied", () => {
    const before = { name: "auto", alpha: 0.1, tools: true };
    expect(changed(fields, before, { name: "other", alpha: "0.1", tools: "" })).toEqual({ tools: null });
    expect(changed(fields, before, { name: "auto", alpha: "0.2", tools: "true" })).toEqual({ alpha: 0.2 });
  });
});
