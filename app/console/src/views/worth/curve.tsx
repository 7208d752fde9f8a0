/** The curve with its legend, the sentence that sums it up, and the rules that routing is compared with. */
import type { ComponentChildren } from "preact";
import { policy as currentPolicy, status } from "../../api/shared";
import type { BacktestReport, CurvePoint } from "../../api/types";
import { percent } from "../../lib/format";
import { colourOf } from "../../lib/models";
import { curl } from "../../lib/sql";
import { alike } from "../../lib/worth";
import { addressOf } from "../../location";
import { Panel } from "../../ui/panel";
import { Empty, ErrorNote, Skeleton } from "../../ui/states";
import { Warmth } from "../../ui/warmth";
import { Chart } from "./chart";
import { backtestBody, SAMPLE, type BacktestQuery } from "./measure";
import { backtestSql } from "./sources";

interface Props {
  policy: string;
  confidence: number;
  backtest: BacktestQuery;
  target: CurvePoint | null;
}

export function Curve({ policy, confidence, backtest, target }: Props) {
  const { measured, error, busy, again } = backtest;
  const cold = error?.status === 422 && currentPolicy.value !== null;
  return (
    <Panel
      title="Quality by cost"
      curl={curl("/v1/router/backtest", { json: backtestBody(policy, confidence) })}
      sql={status.value ? backtestSql(status.value, policy, SAMPLE, confidence) : undefined}
      actions={
        <>
          {measured && <Age at={measured.at} />}
          <button type="button" class="chip" disabled={busy} onClick={again}>
            {busy ? "measuring …" : "Measure again"}
          </button>
        </>
      }
    >
      {error && !cold && <ErrorNote error={error} retry={again} />}
      {cold && (
        <Empty title="Too few examples to measure">
          <p>{error.message}</p>
          <div class="worth-warmth">{currentPolicy.value && <Warmth policy={currentPolicy.value} />}</div>
          <a class="button primary" href={addressOf("teach")}>
            Teach examples
          </a>
        </Empty>
      )}
      {!measured && !error && <Skeleton lines={9} />}
      {measured && !cold && (
        <div class={busy ? "worth-stale" : ""}>
          <Verdict report={measured.report} />
          <div class="worth-figure">
            <Chart report={measured.report} target={target} />
            <Legend report={measured.report} target={target} />
          </div>
        </div>
      )}
    </Panel>
  );
}

function Age({ at }: { at: number }) {
  const minutes = Math.floor((Date.now() - at) / 60_000);
  return <span class="muted small">{minutes < 1 ? "measured just now" : `measured ${minutes} min ago`}</span>;
}

function points(value: number): string {
  return `${value < 0 ? "−" : "+"}${Math.abs(100 * value).toFixed(1)}`;
}

function Verdict({ report }: { report: BacktestReport }) {
  const own = report.curve.find((each) => each.in_use);
  if (!own) return null;
  const base = report.references.default;
  return (
    <p class="worth-verdict">
      As it is set, <strong>{report.policy}</strong> keeps <strong>{percent(own.quality_ratio, 1)}</strong> of{" "}
      {base.model}'s quality (at least {percent(own.quality_ratio_low, 1)}) at{" "}
      <strong>{percent(own.cost_ratio)}</strong> of its cost.{" "}
      {own.gain !== null && (
        <span class="muted">
          Against the best fixed mixture of single models at the same cost: {points(own.gain)} points of
          quality
          {own.gain_low !== null && own.gain_high !== null
            ? ` (${points(own.gain_low)} to ${points(own.gain_high)})`
            : ""}
          .
        </span>
      )}
    </p>
  );
}

function Legend({ report, target }: { report: BacktestReport; target: CurvePoint | null }) {
  const own = report.curve.find((each) => each.in_use);
  return (
    <ul class="worth-legend" aria-label="Legend">
      <Key mark="curve">the policy, by the weight of cost, with bounds</Key>
      <Key mark="own">as it is set, with bounds</Key>
      {target && !(own && alike(own, target)) && <Key mark="target">what the target below would choose</Key>}
      <Key mark="blend">static blend: the best fixed mixture of single models</Key>
      {report.references.always.map(({ model = "" }) => (
        <Key key={model} mark={`single colour-${colourOf(model)}`}>
          always <strong>{model}</strong>
        </Key>
      ))}
      <Key mark="oracle">oracle: the best model of each prompt, known only afterwards</Key>
    </ul>
  );
}

function Key({ mark, children }: { mark: string; children: ComponentChildren }) {
  return (
    <li>
      <span class={`mark ${mark}`} aria-hidden="true" />
      <span>{children}</span>
    </li>
  );
}
