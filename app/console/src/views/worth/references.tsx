/** The tables that are the chart's equal. */
import { status } from "../../api/shared";
import type { BacktestReport } from "../../api/types";
import { decimal, percent, usd } from "../../lib/format";
import { curl } from "../../lib/sql";
import { byCost } from "../../lib/worth";
import { ModelName } from "../../ui/model";
import { Panel } from "../../ui/panel";
import { PER } from "./chart";
import { backtestBody, SAMPLE } from "./measure";
import { backtestSql } from "./sources";

interface Line {
  name: string;
  model?: string | undefined;
  quality: number;
  quality_low: number | null;
  quality_high: number | null;
  cost_usd: number;
  quality_ratio: number | null;
  cost_ratio: number | null;
}

function linesOf(report: BacktestReport): Line[] {
  const { cheapest, best_single: best, oracle, always } = report.references;
  const own = report.curve.find((each) => each.in_use);
  const defaults = report.references.default;
  const lines: Line[] = [];
  if (own) {
    lines.push({ ...own, name: `${report.policy}, as it is set` });
    if (own.blend_quality !== null) {
      lines.push({
        name: "static blend at the same cost",
        quality: own.blend_quality,
        quality_low: null,
        quality_high: null,
        cost_usd: own.cost_usd,
        cost_ratio: own.cost_ratio,
        quality_ratio: defaults.quality > 0 ? own.blend_quality / defaults.quality : null,
      });
    }
  }
  const roles = (model: string | undefined) =>
    [
      model === cheapest.model && "the cheapest",
      model === defaults.model && "the default",
      model === best.model && "the best single model",
    ]
      .filter(Boolean)
      .join(", ");
  for (const each of always) {
    const role = roles(each.model);
    lines.push({ ...each, name: `always${role === "" ? "" : `: ${role}`}` });
  }
  lines.push({ ...oracle, model: undefined, name: "oracle" });
  return lines;
}

const HEADS = ["quality", "of the default's quality", "USD per 1,000", "of the default's cost"];

function Head({ first }: { first: string }) {
  return (
    <thead>
      <tr>
        <th scope="col">{first}</th>
        {HEADS.map((each, i) => (
          <th scope="col" class="number" key={i}>
            {each}
          </th>
        ))}
      </tr>
    </thead>
  );
}

function Cells({ line }: { line: Omit<Line, "name"> }) {
  return (
    <>
      <td class="number">
        {line.quality.toFixed(3)}
        {line.quality_low !== null && line.quality_high !== null && (
          <span class="muted worth-bounds">
            {" "}
            {line.quality_low.toFixed(3)}–{line.quality_high.toFixed(3)}
          </span>
        )}
      </td>
      <td class="number">{percent(line.quality_ratio, 1)}</td>
      <td class="number">{usd(line.cost_usd * PER)}</td>
      <td class="number">{percent(line.cost_ratio)}</td>
    </>
  );
}

function References({ report }: { report: BacktestReport }) {
  return (
    <div class="scroll-x" tabIndex={0} role="region" aria-label="Routing beside simpler rules">
      <table class="worth-table">
        <caption class="visually-hidden">Routing beside simpler rules</caption>
        <Head first="rule" />
        <tbody>
          {linesOf(report).map((line, i) => (
            <tr key={line.name + (line.model ?? "")} class={i === 0 ? "own" : ""}>
              <th scope="row">
                {line.model !== undefined && <ModelName name={line.model} />} {line.name}
              </th>
              <Cells line={line} />
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Points({ report }: { report: BacktestReport }) {
  return (
    <details class="worth-points">
      <summary>Every point of the curve as a table</summary>
      <div class="scroll-x" tabIndex={0} role="region" aria-label="Points of the curve">
        <table class="worth-table">
          <Head first="alpha" />
          <tbody>
            {byCost(report.curve).map((each) => (
              <tr key={each.alpha} class={each.in_use ? "own" : ""}>
                <th scope="row">
                  {decimal(each.alpha, 4)}
                  {each.in_use ? " (in use)" : ""}
                </th>
                <Cells line={each} />
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </details>
  );
}

/** The chart in numbers. */
export function Numbers({ report }: { report: BacktestReport }) {
  const { rows, sampled, skipped, confidence, policy } = report;
  return (
    <Panel
      title="The same in numbers"
      curl={curl("/v1/router/backtest", { json: backtestBody(policy, confidence) })}
      sql={status.value ? backtestSql(status.value, policy, SAMPLE, confidence) : undefined}
    >
      <References report={report} />
      <Points report={report} />
      <p class="muted small">
        Each of {rows} taught prompts is decided for as if the memory did not hold it
        {sampled ? "; a sample" : ""}
        {skipped > 0 ? `; ${skipped} without a score of every candidate are left out` : ""}. Bounds at{" "}
        {percent(confidence)} confidence.
      </p>
    </Panel>
  );
}
