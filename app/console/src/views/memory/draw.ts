/** Paints the map on a canvas: edges in few paths, memories as copies of one picture for each colour. */
import type { View } from "../../lib/viewport";

/** How a memory is drawn. */
export const HIDDEN = 0;
export const DIMMED = 1;
export const SHOWN = 2;

export interface Scene {
  /** x and y of each memory in turn. */
  places: Float32Array;
  /** The number of each memory's colour in the palette. */
  colours: Uint8Array;
  /** HIDDEN, DIMMED or SHOWN for each memory. */
  mask: Uint8Array;
  /** The ends of the edges. */
  from: readonly number[];
  to: readonly number[];
  selected: ReadonlySet<number>;
  /** The memory under the pointer; -1: none. */
  hovered: number;
  /** The polygon of a selection, in pixels. */
  lasso: readonly number[];
  view: View;
  /** Zoom relative to the view that shows all. */
  zoom: number;
}

export interface Palette {
  memories: string[];
  edge: string;
  ink: string;
  accent: string;
  surface: string;
}

/** Segments in one path: a browser paints many short paths faster than one long one. */
const CHUNK = 300;
const CIRCLE = 2 * Math.PI;

/** The colours of the page's tokens, as they are now. */
export function paletteOf(tokens: readonly string[]): Palette {
  const style = getComputedStyle(document.documentElement);
  const colour = (name: string) => style.getPropertyValue(name).trim();
  return {
    memories: tokens.map(colour),
    edge: colour("--map-edge"),
    ink: colour("--ink"),
    accent: colour("--accent"),
    surface: colour("--surface"),
  };
}

export class Painter {
  private pictures: HTMLCanvasElement[] = [];
  private drawn = "";

  /** Paint a scene; `ratio`: pixels of the screen in one of the page. */
  paint(context: CanvasRenderingContext2D, scene: Scene, palette: Palette, ratio: number): void {
    const { canvas } = context;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.edges(context, scene, palette);
    const radius = radiusOf(scene);
    this.prepare(palette, radius, ratio);
    context.globalAlpha = 0.14;
    this.memories(context, scene, radius, DIMMED);
    context.globalAlpha = 1;
    this.memories(context, scene, radius, SHOWN);
    this.marks(context, scene, palette, radius);
  }

  private edges(context: CanvasRenderingContext2D, scene: Scene, palette: Palette): void {
    const { places, mask, from, to, view } = scene;
    const { width, height } = context.canvas;
    context.strokeStyle = palette.edge;
    context.lineWidth = 1;
    context.beginPath();
    let segments = 0;
    for (let i = 0; i < from.length; i++) {
      const [a = 0, b = 0] = [from[i], to[i]];
      if (mask[a] !== SHOWN || mask[b] !== SHOWN) continue;
      const ax = (places[2 * a] ?? 0) * view.scale + view.x;
      const ay = (places[2 * a + 1] ?? 0) * view.scale + view.y;
      const bx = (places[2 * b] ?? 0) * view.scale + view.x;
      const by = (places[2 * b + 1] ?? 0) * view.scale + view.y;
      if (
        (ax < 0 && bx < 0) ||
        (ay < 0 && by < 0) ||
        (ax > width && bx > width) ||
        (ay > height && by > height)
      )
        continue;
      context.moveTo(ax, ay);
      context.lineTo(bx, by);
      if (++segments % CHUNK === 0) {
        context.stroke();
        context.beginPath();
      }
    }
    context.stroke();
  }

  private memories(context: CanvasRenderingContext2D, scene: Scene, radius: number, kind: number): void {
    const { places, mask, colours, view } = scene;
    const size = 2 * (radius + 1);
    for (let i = 0; i < mask.length; i++) {
      if (mask[i] !== kind) continue;
      const picture = this.pictures[colours[i] ?? 0];
      if (picture === undefined) continue;
      const x = (places[2 * i] ?? 0) * view.scale + view.x - size / 2;
      const y = (places[2 * i + 1] ?? 0) * view.scale + view.y - size / 2;
      context.drawImage(picture, x, y, size, size);
    }
  }

  private marks(context: CanvasRenderingContext2D, scene: Scene, palette: Palette, radius: number): void {
    const { places, view, hovered } = scene;
    const ring = (i: number, colour: string, by: number) => {
      context.beginPath();
      const x = (places[2 * i] ?? 0) * view.scale + view.x;
      const y = (places[2 * i + 1] ?? 0) * view.scale + view.y;
      context.arc(x, y, radius + by, 0, CIRCLE);
      context.strokeStyle = colour;
      context.stroke();
    };
    context.lineWidth = 2;
    for (const i of scene.selected) if (scene.mask[i] !== HIDDEN) ring(i, palette.accent, 2);
    if (hovered >= 0) ring(hovered, palette.ink, 2);
    if (scene.lasso.length > 2) {
      context.beginPath();
      for (let i = 0; i + 1 < scene.lasso.length; i += 2) {
        context.lineTo(scene.lasso[i] ?? 0, scene.lasso[i + 1] ?? 0);
      }
      context.closePath();
      context.globalAlpha = 0.12;
      context.fillStyle = palette.accent;
      context.fill();
      context.globalAlpha = 1;
      context.lineWidth = 1.5;
      context.strokeStyle = palette.accent;
      context.stroke();
    }
  }

  /** Draw the picture of a memory in each colour, unless it is drawn already. */
  private prepare(palette: Palette, radius: number, ratio: number): void {
    const key = [radius, ratio, palette.surface, ...palette.memories].join();
    if (key === this.drawn) return;
    this.drawn = key;
    this.pictures = palette.memories.map((colour) => {
      const picture = document.createElement("canvas");
      const middle = (radius + 1) * ratio;
      picture.width = picture.height = Math.ceil(2 * middle);
      const context = picture.getContext("2d");
      if (context === null) return picture;
      context.beginPath();
      context.arc(middle, middle, radius * ratio, 0, CIRCLE);
      context.fillStyle = colour;
      context.fill();
      context.lineWidth = ratio;
      context.strokeStyle = palette.surface;
      context.stroke();
      return picture;
    });
  }
}

/** The radius of a memory in pixels: smaller the more there are, larger when zoomed in; in steps of a half. */
export function radiusOf(scene: Pick<Scene, "mask" | "zoom">): number {
  const base = scene.mask.length > 1200 ? 3 : scene.mask.length > 400 ? 4 : 5;
  return Math.round(2 * base * Math.min(2.5, Math.max(1, Math.sqrt(scene.zoom)))) / 2;
}
