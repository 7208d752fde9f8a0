/** A goal for the quality kept, a target or a certificate: what it would cost, the server's word for it, and applying it. */
import { useEffect, useId, useState } from "preact/hooks";
import type { ApiError } from "../../api/client";
import { refresh, status } from "../../api/shared";
import type { BacktestReport, Calibration, CurvePoint } from "../../api/types";
import { percent } from "../../lib/format";
import { curl } from "../../lib/sql";
import { differences, supported, supportedShare } from "../../lib/worth";
import { place, setQuery } from "../../location";
import { Panel } from "../../ui/panel";
import { useShortcuts } from "../../ui/shortcuts";
import { ErrorNote } from "../../ui/states";
import { Apply } from "./apply";
import { Bound } from "./bound";
import { HISTORY } from "./history";
import { asApiError, calibrate, type Goal } from "./measure";
import { calibrateSql } from "./sources";

interface Props {
  policy: string;
  report: BacktestReport;
  target: number;
  confidence: number;
  confidences: readonly number[];
  onTarget: (target: number) => void;
  onConfidence: (confidence: number) => void;
  onPoint: (point: CurvePoint | null) => void;
  onChanged: () => void;
  onMeasure: () => void;
}

/** The sliders: of a target, and of the share of answers that may be worse. */
const TARGETS = { min: 0.5, max: 1.1, step: 0.005 };
const SHARES = { min: 0.005, max: 0.3, step: 0.005 };
/** Milliseconds without movement after which the server is asked. */
const CALM = 350;

export function Target(props: Props) {
  const { policy, report, target, confidence, onPoint } = props;
  const id = useId();
  const [tune, setTune] = useState(false);
  const [planned, setPlanned] = useState<Calibration | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [round, setRound] = useState(0);
  const [applying, setApplying] = useState(false);
  const [atMost, setAtMost] = useState<number | null>(() => {
    const given = Number(place.value.query.get("at_most") ?? NaN);
    return given >= SHARES.min && given <= SHARES.max ? given : null;
  });
  const certifies = atMost !== null;
  const goal: Goal = certifies ? { at_most: atMost } : { target };
  const guess = supported(report.curve, target);
  const point = certifies ? null : guess.point;

  useEffect(() => onPoint(point), [point]);
  useEffect(() => {
    setPlanned(null);
    setError(null);
    const abort = new AbortController();
    const timer = setTimeout(() => {
      calibrate({ policy, ...goal, confidence, tune }, true, abort.signal)
        .then((found) => {
          if (!abort.signal.aborted) setPlanned(found);
        })
        .catch((failure: unknown) => {
          if (!abort.signal.aborted) setError(asApiError(failure));
        });
    }, CALM);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
    // A new backtest of the same policy means that its memory or its settings have changed.
  }, [policy, target, atMost, confidence, tune, round, report]);

  useShortcuts([
    {
      key: "a",
      what: "Show the change that the target makes",
      run: () => error === null && setApplying(true),
    },
    { key: "m", what: "Measure again", run: props.onMeasure },
    {
      key: "u",
      what: "Go to the changes of the policy",
      run: () => document.getElementById(HISTORY)?.focus(),
    },
  ]);
  const move = (value: number) => {
    if (certifies) {
      setAtMost(value);
      setQuery({ at_most: value });
    } else {
      props.onTarget(value);
      setQuery({ target: value });
    }
  };
  const choose = (value: number | null) => {
    setAtMost(value);
    setQuery({ at_most: value });
  };
  const body = { policy, ...goal, confidence, tune, dry_run: true };
  // Rounded down, because the server measures the bound anew.
  const bestTarget = Math.floor(guess.best * 200 + 1e-9) / 200;
  const best = certifies
    ? error && supportedShare(error.message, SHARES.step)
    : bestTarget >= TARGETS.min && bestTarget < target
      ? bestTarget
      : null;
  const range = certifies ? SHARES : TARGETS;
  const value = certifies ? atMost : target;
  return (
    <Panel
      title="Hold it to a target"
      kind="worth-target"
      curl={curl("/v1/router/calibrate", { json: body })}
      sql={status.value ? calibrateSql(status.value, policy, goal, confidence, tune) : undefined}
    >
      <div class="worth-slider">
        <label for={id}>
          {certifies ? "Certify that at most " : "Keep at least "}
          <output for={id}>{percent(value, 1)}</output>
          {certifies
            ? ` of answers are worse than ${report.references.default.model ?? ""}'s`
            : ` of ${report.references.default.model ?? ""}'s quality`}
        </label>
        <input
          id={id}
          type="range"
          {...range}
          value={value}
          aria-valuetext={
            certifies
              ? `${percent(value, 1)} of answers worse than the default model's`
              : `${percent(value, 1)} of the default model's quality`
          }
          onInput={(event) => move(event.currentTarget.valueAsNumber)}
        />
        <div class="worth-ends muted" aria-hidden="true">
          <span>{percent(range.min, certifies ? 1 : 0)}</span>
          <span>{percent(range.max)}</span>
        </div>
      </div>
      <div class="row">
        <label class="row worth-choice">
          goal
          <select
            class="worth-goal"
            value={certifies ? "at_most" : "target"}
            onChange={(event) => choose(event.currentTarget.value === "at_most" ? 0.05 : null)}
          >
            <option value="target">a share of the quality</option>
            <option value="at_most">a share of worse answers, certified</option>
          </select>
        </label>
        <label class="row worth-choice">
          with a confidence of
          <select
            value={String(confidence)}
            onChange={(event) => {
              const value = Number(event.currentTarget.value);
              props.onConfidence(value);
              setQuery({ confidence: value });
            }}
          >
            {props.confidences.map((each) => (
              <option key={each} value={String(each)}>
                {percent(each)}
              </option>
            ))}
          </select>
        </label>
        <label class="row worth-choice">
          <input type="checkbox" checked={tune} onChange={(event) => setTune(event.currentTarget.checked)} />
          choose k, tau, n0 and n0_task too (slower)
        </label>
      </div>
      <div class="worth-outcome" aria-live="polite">
        {error ? (
          <>
            <ErrorNote error={error} {...(error.status !== 422 && { retry: () => setRound((n) => n + 1) })} />
            {error.status === 422 && best !== null && best <= range.max && (
              <p class="row">
                Nothing was changed.
                <button type="button" class="button small" onClick={() => move(best)}>
                  Take {percent(best, 1)}
                </button>
              </p>
            )}
          </>
        ) : (
          <Bound planned={planned} guess={point} goal={goal} confidence={confidence} />
        )}
      </div>
      <div class="row">
        <button
          type="button"
          class="button primary"
          disabled={error !== null}
          onClick={() => setApplying(true)}
        >
          Apply …
        </button>
        <span class="muted small">
          {planned === null
            ? "First shows which settings change."
            : differences(planned.before, planned.after).length === 0
              ? "The settings are those already."
              : `Changes ${differences(planned.before, planned.after)
                  .map((each) => each.name)
                  .join(", ")}; first shows how.`}
        </span>
      </div>
      {applying && error === null && (
        <Apply
          wanted={{ policy, ...goal, confidence, tune }}
          planned={planned}
          onClose={() => setApplying(false)}
          onApplied={() => {
            setApplying(false);
            props.onChanged();
            void refresh();
          }}
          onChanged={props.onChanged}
        />
      )}
    </Panel>
  );
}
