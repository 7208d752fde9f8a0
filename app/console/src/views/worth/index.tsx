/** Worth: what routing costs and keeps, a target to hold it to, and how its settings came about. */
import "./worth.css";
import { useState } from "preact/hooks";
import { policy as currentPolicy, policyName } from "../../api/shared";
import type { CurvePoint } from "../../api/types";
import { place } from "../../location";
import { tenantKey } from "../../session";
import { Curve } from "./curve";
import { History } from "./history";
import { useBacktest } from "./measure";
import { Numbers } from "./references";
import { Savings } from "./savings";
import { Shares } from "./shares";
import { Target } from "./target";

const CONFIDENCES = [0.8, 0.9, 0.95, 0.99];

function number(name: string, fallback: number): number {
  const value = Number(place.value.query.get(name) ?? NaN);
  return Number.isFinite(value) ? value : fallback;
}

export default function WorthView() {
  const name = currentPolicy.value?.policy ?? policyName.value;
  const [confidence, setConfidence] = useState(() => {
    const given = number("confidence", 0.9);
    return CONFIDENCES.includes(given) ? given : 0.9;
  });
  const [target, setTarget] = useState(() => Math.min(1.1, Math.max(0.5, number("target", 0.98))));
  const [point, setPoint] = useState<CurvePoint | null>(null);
  const [changes, setChanges] = useState(0);
  const backtest = useBacktest(name, confidence);
  const changed = () => {
    setChanges((n) => n + 1);
    backtest.again();
  };
  const report = backtest.measured?.report;
  const key = `${tenantKey.value ?? ""} ${name}`;
  return (
    <div class="stack">
      <Curve policy={name} confidence={confidence} backtest={backtest} target={point} />
      {report && (
        <Target
          key={key}
          policy={name}
          report={report}
          target={target}
          confidence={confidence}
          confidences={CONFIDENCES}
          onTarget={setTarget}
          onConfidence={setConfidence}
          onPoint={setPoint}
          onChanged={changed}
          onMeasure={backtest.again}
        />
      )}
      {report && <Numbers report={report} />}
      <History key={`history ${key}`} policy={name} round={changes} onChanged={changed} />
      <div class="columns">
        <Savings policy={name} round={changes} report={report} />
        <Shares />
      </div>
    </div>
  );
}
