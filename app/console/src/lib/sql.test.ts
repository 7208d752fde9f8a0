import { describe, expect, it } from "vitest";
import { literal, shellWord, tenantId } from "./sql";

describe("literal", () => {
  it("doubles quotes", () => expect(literal("O'Brien")).toBe("'O''Brien'"));
  it("escapes backslashes whatever standard_conforming_strings is", () =>
    expect(literal("a\\'b")).toBe("E'a\\\\''b'"));
  it("is used for names of tenants", () => {
    expect(tenantId("x'; drop")).toBe("(select tenant_id from router.tenants where name = 'x''; drop')");
  });
});

describe("shellWord", () => {
  it("keeps a quote, a dollar and a line break", () =>
    expect(shellWord("it's $x\n")).toBe("'it'\\''s $x\n'"));
});
