/** The state of a comparison, built from its server-sent events. */
import type { ServerEvent } from "./sse";

export interface Cost {
  prompt_tokens: number | null;
  completion_tokens: number | null;
  cost_usd: number | null;
  latency_ms: number | null;
}

export interface ShownAnswer {
  label: string;
  /** Known at once, or at the end of a blind comparison. */
  model: string | null;
  text: string;
  done: boolean;
  error: string | null;
  /** `length`: the answer was cut off. */
  finishReason: string | null;
  cost: Cost | null;
}

export interface Comparison {
  answers: ShownAnswer[];
  /** Whether all answers and their models are there. */
  ended: boolean;
  /** The text that is taught, as the server derives it from the prompt; null: not known yet. */
  prompt: string | null;
}

export const EMPTY: Comparison = { answers: [], ended: false, prompt: null };

interface Done extends Partial<Cost> {
  label: string;
  model?: string;
  finish_reason: string | null;
  error: { message: string } | null;
}

/** Return the comparison after an event; one that is unknown changes nothing. */
export function applied(before: Comparison, event: ServerEvent): Comparison {
  const data = (): unknown => JSON.parse(event.data);
  switch (event.event) {
    case "start": {
      const { label, model } = data() as { label: string; model?: string };
      const answer = { label, model: model ?? null, text: "", done: false, error: null };
      return { ...before, answers: [...before.answers, { ...answer, finishReason: null, cost: null }] };
    }
    case "delta": {
      const { label, text } = data() as { label: string; text: string };
      return changed(before, label, (each) => ({ ...each, text: each.text + text }));
    }
    case "done": {
      const done = data() as Done;
      return changed(before, done.label, (each) => finished(each, done));
    }
    case "end": {
      const { answers, prompt } = data() as { answers: Done[]; prompt: string };
      const after = answers.reduce(
        (now, done) => changed(now, done.label, (each) => finished(each, done)),
        before,
      );
      return { ...after, ended: true, prompt };
    }
    default:
      return before;
  }
}

function finished(each: ShownAnswer, done: Done): ShownAnswer {
  return {
    ...each,
    done: true,
    model: done.model ?? each.model,
    error: done.error?.message ?? null,
    finishReason: done.finish_reason,
    cost: done.latency_ms === undefined ? each.cost : costOf(done),
  };
}

function costOf(done: Partial<Cost>): Cost {
  return {
    prompt_tokens: done.prompt_tokens ?? null,
    completion_tokens: done.completion_tokens ?? null,
    cost_usd: done.cost_usd ?? null,
    latency_ms: done.latency_ms ?? null,
  };
}

function changed(
  before: Comparison,
  label: string,
  change: (answer: ShownAnswer) => ShownAnswer,
): Comparison {
  return {
    ...before,
    answers: before.answers.map((each) => (each.label === label ? change(each) : each)),
  };
}
