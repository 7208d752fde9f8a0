/** The cost-quality curve on a canvas; the table beside it has the same numbers. */
import "uplot/dist/uPlot.min.css";
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import type { BacktestReport, CurvePoint } from "../../api/types";
import { percent, usd } from "../../lib/format";
import { alike, byCost } from "../../lib/worth";
import { colours, diamond, dot, label, ring, whisker, type Palette } from "./marks";

/** Costs are shown for this many requests: those of one are too small to read. */
export const PER = 1000;

interface Mark {
  name: string;
  cost: number;
  quality: number;
  text: string;
}

function marksOf(report: BacktestReport): Mark[] {
  const { references, curve } = report;
  const text = (cost: number, ratio: number | null) =>
    `${usd(cost * PER)} per 1,000${ratio === null ? "" : `, ${percent(ratio)} of the default's cost`}`;
  return [
    ...curve.map((each) => ({
      name: each.in_use ? `${report.policy}, in use` : `${report.policy} at alpha ${each.alpha ?? ""}`,
      cost: each.cost_usd * PER,
      quality: each.quality,
      text: text(each.cost_usd, each.cost_ratio),
    })),
    ...references.always.map((each) => ({
      name: `${each.model ?? ""} alone`,
      cost: each.cost_usd * PER,
      quality: each.quality,
      text: text(each.cost_usd, each.cost_ratio),
    })),
    {
      name: "oracle",
      cost: references.oracle.cost_usd * PER,
      quality: references.oracle.quality,
      text: text(references.oracle.cost_usd, references.oracle.cost_ratio),
    },
  ];
}

interface Props {
  report: BacktestReport;
  /** The point that the target would choose. */
  target: CurvePoint | null;
}

export function Chart({ report, target }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const wanted = useRef(target);
  wanted.current = target;
  const [near, setNear] = useState<(Mark & { left: number; top: number }) | null>(null);

  useEffect(() => {
    const parent = box.current;
    if (!parent) return;
    const draw = () => {
      plot.current?.destroy();
      plot.current = create(parent, report, () => wanted.current);
    };
    draw();
    const resized = new ResizeObserver(() => plot.current?.setSize(sizeOf(parent)));
    resized.observe(parent);
    const scheme = matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", draw);
    return () => {
      resized.disconnect();
      scheme.removeEventListener("change", draw);
      plot.current?.destroy();
      plot.current = null;
    };
  }, [report]);
  useEffect(() => plot.current?.redraw(false), [target]);

  const point = (event: PointerEvent) => {
    const u = plot.current;
    if (!u) return;
    const bounds = u.over.getBoundingClientRect();
    const at = (mark: Mark) => ({ left: u.valToPos(mark.cost, "x"), top: u.valToPos(mark.quality, "y") });
    const distance = (mark: Mark) => {
      const { left, top } = at(mark);
      return Math.hypot(left - (event.clientX - bounds.left), top - (event.clientY - bounds.top));
    };
    const nearest = marksOf(report).reduce((best, each) => (distance(each) < distance(best) ? each : best));
    if (distance(nearest) > 28) return setNear(null);
    const parent = box.current?.getBoundingClientRect();
    const { left, top } = at(nearest);
    setNear({
      ...nearest,
      left: left + bounds.left - (parent?.left ?? 0),
      top: top + bounds.top - (parent?.top ?? 0),
    });
  };

  return (
    <figure class="worth-chart">
      <div
        class="worth-canvas"
        ref={box}
        role="img"
        aria-label={`Quality by cost of policy ${report.policy}; the table below has the same numbers.`}
        onPointerMove={point}
        onPointerLeave={() => setNear(null)}
      />
      {near && (
        <p class="worth-tip" aria-hidden="true" style={{ left: `${near.left}px`, top: `${near.top}px` }}>
          <strong>{near.name}</strong>
          <br />
          quality {near.quality.toFixed(3)} · {near.text}
        </p>
      )}
    </figure>
  );
}

function sizeOf(parent: HTMLElement): { width: number; height: number } {
  const width = parent.clientWidth;
  return { width, height: width < 480 ? 300 : 360 };
}

function create(parent: HTMLElement, report: BacktestReport, target: () => CurvePoint | null): uPlot {
  const palette = colours(parent);
  const { references } = report;
  const curve = byCost(report.curve);
  const data = uPlot.join([
    [references.blend.map((each) => each.cost_usd * PER), references.blend.map((each) => each.quality)],
    [curve.map((each) => each.cost_usd * PER), curve.map((each) => each.quality)],
  ]);
  const axis = {
    stroke: palette.muted,
    grid: { stroke: palette.line, width: 1 },
    ticks: { stroke: palette.line, width: 1 },
    font: palette.font,
    labelFont: palette.font,
    labelSize: 22,
  };
  const qualities = [...marksOf(report).map((each) => each.quality), ...bounds(report)];
  const costs = marksOf(report).map((each) => each.cost);
  const low = Math.max(0, Math.min(...qualities) - 0.03);
  const high = Math.min(1.02, Math.max(...qualities) + 0.03);
  const most = Math.max(...costs);
  return new uPlot(
    {
      ...sizeOf(parent),
      legend: { show: false },
      cursor: { show: false },
      scales: { x: { time: false, range: [0, most > 0 ? most * 1.08 : 1] }, y: { range: [low, high] } },
      axes: [
        { ...axis, label: "USD per 1,000 requests", size: 36 },
        { ...axis, label: "quality", size: 46 },
      ],
      series: [
        {},
        { stroke: palette.muted, width: 1.5, dash: [6, 5], spanGaps: true, points: { show: false } },
        { stroke: palette.accent, width: 2.5, spanGaps: true, points: { show: false } },
      ],
      hooks: {
        drawAxes: [(u) => band(u, palette, curve)],
        draw: [(u) => drawMarks(u, palette, report, target())],
      },
    },
    data,
    parent,
  );
}

function bounds(report: BacktestReport): number[] {
  return report.curve.flatMap((each) =>
    each.quality_low === null || each.quality_high === null ? [] : [each.quality_low, each.quality_high],
  );
}

/** The bounds of the curve. */
function band(u: uPlot, palette: Palette, curve: readonly CurvePoint[]): void {
  const x = (each: CurvePoint) => u.valToPos(each.cost_usd * PER, "x", true);
  const edge = (value: number | null, each: CurvePoint) => u.valToPos(value ?? each.quality, "y", true);
  const { ctx } = u;
  ctx.save();
  ctx.beginPath();
  for (const each of curve) ctx.lineTo(x(each), edge(each.quality_high, each));
  for (const each of [...curve].reverse()) ctx.lineTo(x(each), edge(each.quality_low, each));
  ctx.closePath();
  ctx.globalAlpha = 0.7;
  ctx.fillStyle = palette.soft;
  ctx.fill();
  ctx.restore();
}

function drawMarks(u: uPlot, palette: Palette, report: BacktestReport, target: CurvePoint | null): void {
  const { oracle, always } = report.references;
  const at = (point: { cost_usd: number; quality: number }) => ({
    x: u.valToPos(point.cost_usd * PER, "x", true),
    y: u.valToPos(point.quality, "y", true),
  });
  for (const each of byCost(report.curve)) dot(u.ctx, at(each), 3.5, palette.accent, palette);
  for (const each of always) {
    dot(u.ctx, at(each), 5.5, palette.model(each.model ?? ""), palette);
    label(u, at(each), each.model ?? "", palette, "below");
  }
  diamond(u.ctx, at(oracle), palette);
  label(u, at(oracle), "oracle", palette, "below");
  const own = report.curve.find((each) => each.in_use);
  if (own) {
    const { x } = at(own);
    if (own.quality_low !== null && own.quality_high !== null)
      whisker(
        u.ctx,
        x,
        u.valToPos(own.quality_low, "y", true),
        u.valToPos(own.quality_high, "y", true),
        palette,
      );
    dot(u.ctx, at(own), 7, palette.accent, palette);
    // Beside the target's name there is no room.
    const close = target !== null && Math.abs(at(target).x - x) < 60 * devicePixelRatio;
    label(u, at(own), "in use", palette, close && !alike(own, target) ? "below" : "above");
  }
  if (target && !(own && alike(own, target))) {
    ring(u.ctx, at(target), palette);
    label(u, at(target), "target", palette, "above");
  }
}
