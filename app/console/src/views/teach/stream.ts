/** Runs a comparison and keeps its state; the answers are drawn once a frame, however many events come. */
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, stream } from "../../api/client";
import { applied, EMPTY, type Comparison } from "../../lib/comparison";

export interface Running {
  comparison: Comparison;
  busy: boolean;
  error: ApiError | null;
  run: (body: unknown) => Promise<void>;
  /** End it, and show no answers. */
  clear: () => void;
}

export function useComparison(): Running {
  const [comparison, show] = useState(EMPTY);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const running = useRef<AbortController | null>(null);
  useEffect(() => () => running.current?.abort(), []);

  const clear = () => {
    running.current?.abort();
    running.current = null;
    setBusy(false);
    setError(null);
    show(EMPTY);
  };
  const run = async (body: unknown) => {
    clear();
    const abort = (running.current = new AbortController());
    setBusy(true);
    let now = EMPTY;
    let drawing = 0;
    const draw = () => {
      drawing = 0;
      if (running.current === abort) show(now);
    };
    try {
      for await (const event of stream("/v1/router/preferences/compare", {
        json: body,
        signal: abort.signal,
      })) {
        now = applied(now, event);
        drawing ||= requestAnimationFrame(draw);
      }
      if (!now.ended) throw new ApiError("The connection broke off before all answers were there.", 0);
    } catch (caught) {
      if (!abort.signal.aborted)
        setError(caught instanceof ApiError ? caught : new ApiError(String(caught), 0));
    } finally {
      cancelAnimationFrame(drawing);
      draw();
      if (running.current === abort) setBusy(false);
    }
  };
  return { comparison, busy, error, run, clear };
}
