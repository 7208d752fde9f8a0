/** Scores that are suggested for the answers: recorded ones of the demo, or those of a judge. */
import { useEffect, useState } from "preact/hooks";
import { ApiError, json } from "../../api/client";
import type { Judged, SamplePrompt } from "../../api/types";
import type { Comparison } from "../../lib/comparison";

export interface Suggestion {
  score: number;
  reason: string | null;
}

export interface Suggestions {
  /** The judge; null: scores that were recorded for the demo. */
  judge: string | null;
  /** Whether the judge is one of the compared models. */
  own: boolean;
  byLabel: Record<string, Suggestion>;
}

interface Found {
  suggestions: Suggestions | null;
  busy: boolean;
  error: ApiError | null;
  retry: () => void;
}

/** The recorded scores of a sample for the answers of a comparison. */
export function recordedScores(sample: SamplePrompt, comparison: Comparison): Suggestions {
  const byLabel: Suggestions["byLabel"] = {};
  for (const { label, model } of comparison.answers) {
    const answer = sample.answers.find((each) => each.model === model);
    if (answer) byLabel[label] = { score: answer.score, reason: null };
  }
  return { judge: null, own: false, byLabel };
}

/** Suggest scores once all answers are there; `judge` empty: only recorded ones. */
export function useSuggestions(
  prompt: string,
  comparison: Comparison,
  sample: SamplePrompt | undefined,
  judge: string,
): Found {
  const [state, setState] = useState<Omit<Found, "retry">>({ suggestions: null, busy: false, error: null });
  const [round, setRound] = useState(0);
  useEffect(() => {
    setState({ suggestions: null, busy: false, error: null });
    const answered = comparison.answers.filter((each) => each.error === null && each.text !== "");
    if (!comparison.ended || answered.length === 0) return;
    if (sample) {
      setState({ suggestions: recordedScores(sample, comparison), busy: false, error: null });
      return;
    }
    if (judge === "") return;
    const abort = new AbortController();
    setState({ suggestions: null, busy: true, error: null });
    json<Judged>("/v1/router/preferences/judge", {
      json: {
        prompt,
        model: judge,
        answers: Object.fromEntries(answered.map((each) => [each.label, each.text])),
        answered_by: comparison.answers.map((each) => each.model),
      },
      signal: abort.signal,
    })
      .then((found) =>
        setState({
          suggestions: { judge: found.model, own: found.is_candidate === true, byLabel: found.scores },
          busy: false,
          error: null,
        }),
      )
      .catch((caught: unknown) => {
        if (abort.signal.aborted) return;
        const error = caught instanceof ApiError ? caught : new ApiError(String(caught), 0);
        setState({ suggestions: null, busy: false, error });
      });
    return () => abort.abort();
  }, [comparison.ended, judge, sample, round]);
  return { ...state, retry: () => setRound((n) => n + 1) };
}
