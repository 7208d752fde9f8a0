/** A call whose answer a component shows: it runs again when its inputs change, and keeps the last answer meanwhile. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "./client";

/** Milliseconds before a skeleton is shown; an answer that is faster shows none. */
const PATIENCE = 200;

export interface Query<T> {
  data: T | undefined;
  error: ApiError | undefined;
  /** The call has been running for longer than 200 ms and there is nothing to show yet. */
  slow: boolean;
  /** A call is running. */
  busy: boolean;
  reload: () => void;
  /** Show an expected answer before the server's (an optimistic update). */
  set: (data: T) => void;
}

/** Run `load` now and whenever one of `inputs` changes; an earlier call that still runs is aborted. */
export function useQuery<T>(load: (signal: AbortSignal) => Promise<T>, inputs: readonly unknown[]): Query<T> {
  const [state, setState] = useState<{ data?: T; error?: ApiError; busy: boolean }>({ busy: true });
  const [slow, setSlow] = useState(false);
  const [round, setRound] = useState(0);
  const latest = useRef(load);
  latest.current = load;
  useEffect(() => {
    const abort = new AbortController();
    const timer = setTimeout(() => setSlow(true), PATIENCE);
    setState((before) => ({ ...before, busy: true }));
    latest
      .current(abort.signal)
      .then((data) => {
        if (!abort.signal.aborted) setState({ data, busy: false });
      })
      .catch((error: unknown) => {
        if (abort.signal.aborted) return;
        const known = error instanceof ApiError ? error : new ApiError(String(error), 0);
        // What was shown stays: an error beside it says that it may be old.
        setState((before) => ({ ...before, error: known, busy: false }));
      })
      .finally(() => {
        clearTimeout(timer);
        if (!abort.signal.aborted) setSlow(false);
      });
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [...inputs, round]);
  return {
    data: state.data,
    error: state.error,
    slow: slow && state.data === undefined,
    busy: state.busy,
    reload: useCallback(() => setRound((n) => n + 1), []),
    set: useCallback((data: T) => setState((before) => ({ ...before, data })), []),
  };
}
