/** Values of a form's fields as text, and back as JSON. */

export type Kind = "text" | "number" | "list" | "flag" | "maybe" | "choice";

export interface Field {
  name: string;
  kind: Kind;
  /** What the value means, in a few words. */
  help?: string;
  /** Of a `choice`. */
  choices?: readonly string[];
  required?: boolean;
  /** The value is part of the path and cannot be changed here. */
  fixed?: boolean;
}

/** The text of a value in its field; null and undefined are empty. */
export function toText(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (Array.isArray(value)) return value.join(", ");
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean")
    return String(value);
  return JSON.stringify(value);
}

/** The JSON value of a field's text; empty is null. Text that is no number is sent as it is, so that the server's error names the field. */
export function toValue(text: string, kind: Kind): unknown {
  const trimmed = text.trim();
  if (kind === "flag") return trimmed === "true";
  if (trimmed === "") return null;
  if (kind === "maybe") return trimmed === "true";
  if (kind === "list")
    return trimmed
      .split(",")
      .map((each) => each.trim())
      .filter((each) => each !== "");
  if (kind === "number") return Number.isFinite(Number(trimmed)) ? Number(trimmed) : trimmed;
  return trimmed;
}

/** The fields whose text differs from the value before. */
export function changed(
  fields: readonly Field[],
  before: Readonly<Record<string, unknown>>,
  texts: Readonly<Record<string, string>>,
): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const { name, kind, fixed } of fields) {
    const text = texts[name] ?? "";
    if (fixed !== true && text.trim() !== toText(before[name])) found[name] = toValue(text, kind);
  }
  return found;
}
