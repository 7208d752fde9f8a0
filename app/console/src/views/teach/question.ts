/** What is asked, of which models; it is in the address, so that it can be sent to a colleague. */
import { place, setQuery } from "../../location";

export interface Question {
  prompt: string;
  /** null: the policy's candidates. */
  models: string[] | null;
  task: string;
  /** The model that suggests scores; empty: none. */
  judge: string;
  blind: boolean;
}

/** The fewest and the most models of a comparison. */
export const FEWEST = 2;
export const MOST = 8;

export function questionOfAddress(): Question {
  const query = place.value.query;
  const models = query.get("models");
  return {
    prompt: query.get("prompt") ?? "",
    models: models === null ? null : models.split(",").filter((name) => name !== ""),
    task: query.get("task") ?? "",
    judge: query.get("judge") ?? "",
    blind: query.get("blind") !== "0",
  };
}

export function showInAddress(question: Question): void {
  setQuery({
    prompt: question.prompt,
    models: question.models?.join(","),
    task: question.task,
    judge: question.judge,
    blind: question.blind ? null : 0,
  });
}

/** The body of POST /v1/router/preferences/compare. */
export function bodyOf(question: Question, models: readonly string[]) {
  return { prompt: question.prompt.trim(), models, blind: question.blind, stream: true };
}

/** Give the prompt the focus. */
export function toPrompt(): void {
  document.getElementById("prompt")?.focus();
}
