/** The prompt that the view explains, with the dials; it is in the address, so that it can be sent to a colleague. */
import { place, setQuery } from "../../location";

export interface Question {
  prompt: string;
  task: string;
  /** null: the policy's. */
  alpha: number | null;
  k: number | null;
  tau: number | null;
  /** Further fields of a chat request, as JSON text; empty: none. */
  fields: string;
}

/** Read the question of the present address. */
export function questionOfAddress(): Question {
  const query = place.value.query;
  const number = (name: string) => {
    const value = Number.parseFloat(query.get(name) ?? "");
    return Number.isFinite(value) ? value : null;
  };
  return {
    prompt: query.get("prompt") ?? "",
    task: query.get("task") ?? "",
    alpha: number("alpha"),
    k: number("k"),
    tau: number("tau"),
    fields: query.get("fields") ?? "",
  };
}

export function showInAddress(question: Question): void {
  setQuery({ ...question });
}

/** The body of POST /v1/router/explain. */
export function bodyOf(question: Question, policy: string, neighbours: number): Record<string, unknown> {
  return {
    model: policy,
    prompt: question.prompt,
    ...(question.task !== "" && { task: question.task }),
    ...(question.alpha !== null && { alpha: question.alpha }),
    ...(question.k !== null && { k: question.k }),
    ...(question.tau !== null && { tau: question.tau }),
    ...(question.fields !== "" && { fields: JSON.parse(question.fields) as unknown }),
    neighbours,
  };
}
