/** Measurements on the tenant's own memory. The last backtest of each policy stays while the page is open. */
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, json } from "../../api/client";
import type { BacktestReport, Calibration } from "../../api/types";
import { inTurn } from "../../lib/serial";
import { ALPHAS } from "../../lib/worth";
import { tenantKey } from "../../session";

export const SAMPLE = 2000;

export interface Measured {
  report: BacktestReport;
  at: number;
}

const known = new Map<string, Measured>();

export interface BacktestQuery {
  measured: Measured | undefined;
  error: ApiError | undefined;
  busy: boolean;
  again: () => void;
}

export function backtestBody(policy: string, confidence: number): object {
  return { policy, sample: SAMPLE, confidence, alphas: ALPHAS };
}

/** The last backtest of a policy, or a new one if there is none; `again` measures anew and shows the last meanwhile. */
export function useBacktest(policy: string, confidence: number): BacktestQuery {
  const place = `${tenantKey.value ?? ""} ${policy} ${confidence}`;
  const [state, setState] = useState<{ place: string; error?: ApiError; busy: boolean }>({
    place,
    busy: false,
  });
  const [round, setRound] = useState(0);
  const first = useRef(0);
  useEffect(() => {
    if (round === first.current && known.has(place)) {
      setState({ place, busy: false });
      return;
    }
    first.current = round;
    const abort = new AbortController();
    setState({ place, busy: true });
    inTurn(
      () =>
        // A call that runs is not aborted: the next one would find the server still busy with it.
        json<BacktestReport>("/v1/router/backtest", { json: backtestBody(policy, confidence) }),
      abort.signal,
    )
      .then((report) => {
        known.set(place, { report, at: Date.now() });
        if (!abort.signal.aborted) setState({ place, busy: false });
      })
      .catch((error: unknown) => {
        if (!abort.signal.aborted) setState({ place, error: asApiError(error), busy: false });
      });
    return () => abort.abort();
  }, [place, round]);
  // Another confidence changes the bounds alone: the curve stays while they are measured.
  const shown = known.get(place) ?? [...known].reverse().find(([key]) => key.startsWith(prefix(place)))?.[1];
  return {
    measured: shown,
    error: state.place === place ? state.error : undefined,
    busy: state.busy,
    again: () => {
      for (const key of [...known.keys()]) {
        if (key.startsWith(prefix(place)) && key !== place) known.delete(key);
      }
      setRound((n) => n + 1);
    },
  };
}

function prefix(place: string): string {
  return place.slice(0, place.lastIndexOf(" ") + 1);
}

/** What a calibration is to keep: a share of the default model's quality, or a certified bound on worse answers. */
export type Goal = { target: number } | { at_most: number };

export type Wanted = Goal & {
  policy: string;
  confidence: number;
  tune: boolean;
};

/** Calibrate, or with `dryRun` only learn what would be set. */
export function calibrate(wanted: Wanted, dryRun: boolean, signal: AbortSignal): Promise<Calibration> {
  return inTurn(
    () => json<Calibration>("/v1/router/calibrate", { json: { ...wanted, dry_run: dryRun } }),
    signal,
  );
}

export function asApiError(error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError(String(error), 0);
}
