/** Shapes of the chart, in the colours of the page. */
import type uPlot from "uplot";
import { colourOf } from "../../lib/models";

export interface Palette {
  ink: string;
  muted: string;
  line: string;
  accent: string;
  soft: string;
  surface: string;
  font: string;
  model: (name: string) => string;
}

interface At {
  x: number;
  y: number;
}

/** The tokens of styles/tokens.css that apply to an element. */
export function colours(element: Element): Palette {
  const style = getComputedStyle(element);
  const token = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return {
    ink: token("ink"),
    muted: token("muted"),
    line: token("line"),
    accent: token("accent"),
    soft: token("accent-soft"),
    surface: token("surface"),
    font: `12px ${style.fontFamily}`,
    model: (name) => token(`model-${colourOf(name)}`),
  };
}

export function dot(
  ctx: CanvasRenderingContext2D,
  { x, y }: At,
  radius: number,
  fill: string,
  palette: Palette,
) {
  ctx.beginPath();
  ctx.arc(x, y, radius * devicePixelRatio, 0, 2 * Math.PI);
  ctx.fillStyle = fill;
  ctx.fill();
  ctx.lineWidth = 1.5 * devicePixelRatio;
  ctx.strokeStyle = palette.surface;
  ctx.stroke();
}

export function ring(ctx: CanvasRenderingContext2D, { x, y }: At, palette: Palette) {
  ctx.beginPath();
  ctx.arc(x, y, 7 * devicePixelRatio, 0, 2 * Math.PI);
  ctx.fillStyle = palette.surface;
  ctx.fill();
  ctx.lineWidth = 2.5 * devicePixelRatio;
  ctx.strokeStyle = palette.accent;
  ctx.stroke();
}

export function diamond(ctx: CanvasRenderingContext2D, { x, y }: At, palette: Palette) {
  const r = 7 * devicePixelRatio;
  ctx.beginPath();
  ctx.moveTo(x, y - r);
  ctx.lineTo(x + r, y);
  ctx.lineTo(x, y + r);
  ctx.lineTo(x - r, y);
  ctx.closePath();
  ctx.fillStyle = palette.surface;
  ctx.fill();
  ctx.lineWidth = 2 * devicePixelRatio;
  ctx.strokeStyle = palette.ink;
  ctx.stroke();
}

export function whisker(
  ctx: CanvasRenderingContext2D,
  x: number,
  low: number,
  high: number,
  palette: Palette,
) {
  const cap = 6 * devicePixelRatio;
  ctx.beginPath();
  ctx.moveTo(x, low);
  ctx.lineTo(x, high);
  for (const y of [low, high]) {
    ctx.moveTo(x - cap, y);
    ctx.lineTo(x + cap, y);
  }
  ctx.lineWidth = 2 * devicePixelRatio;
  ctx.strokeStyle = palette.accent;
  ctx.stroke();
}

/** Write a name above or below a point, within the plot. */
export function label(u: uPlot, { x, y }: At, text: string, palette: Palette, where: "above" | "below") {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.font = `${12 * devicePixelRatio}px ${palette.font.slice(palette.font.indexOf(" ") + 1)}`;
  const half = ctx.measureText(text).width / 2;
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  const left = Math.min(bbox.left + bbox.width - half - 4, Math.max(bbox.left + half + 4, x));
  const top = y + (where === "above" ? -19 : 19) * devicePixelRatio;
  ctx.lineJoin = "round";
  ctx.lineWidth = 4 * devicePixelRatio;
  ctx.strokeStyle = palette.surface;
  ctx.strokeText(text, left, top);
  ctx.fillStyle = palette.ink;
  ctx.fillText(text, left, top);
  ctx.restore();
}
