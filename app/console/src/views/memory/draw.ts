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
  /** How many neighbours of an edge's one end are more similar than its other end. */
  rank: readonly number[];
  /** Whether the layout moves: only the strongest edges are drawn, as a line costs more than a memory. */
  moving: boolean;
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
/** Edges of each memory that are drawn while the layout moves. */
const STRONGEST = 2;
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
  private pictures: ImageBitmap[] = [];
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
    // At whole pixels of the screen a picture is copied as it is.
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.globalAlpha = 0.14;
    this.memories(context, scene, ratio, DIMMED);
    context.globalAlpha = 1;
    this.memories(context, scene, ratio, SHOWN);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.marks(context, scene, palette, radius);
  }

  private edges(context: CanvasRenderingContext2D, scene: Scene, palette: Palette): void {
    const { places, mask, from, to, rank, view } = scene;
    const most = scene.moving && from.length > 3000 ? STRONGEST : Infinity;
    const { width, height } = context.canvas;
    context.strokeStyle = palette.edge;
    context.lineWidth = 1;
    context.beginPath();
    let segments = 0;
    for (let i = 0; i < from.length; i++) {
      const [a = 0, b = 0] = [from[i], to[i]];
      if ((rank[i] ?? 0) >= most || mask[a] !== SHOWN || mask[b] !== SHOWN) continue;
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

  private memories(context: CanvasRenderingContext2D, scene: Scene, ratio: number, kind: number): void {
    const { places, mask, colours, view } = scene;
    const { width, height } = context.canvas;
    const scale = view.scale * ratio;
    const half = (this.pictures[0]?.width ?? 0) / 2;
    const [left, top] = [view.x * ratio - half, view.y * ratio - half];
    for (let i = 0; i < mask.length; i++) {
      if (mask[i] !== kind) continue;
      const x = Math.round((places[2 * i] ?? 0) * scale + left);
      const y = Math.round((places[2 * i + 1] ?? 0) * scale + top);
      if (x < -2 * half || y < -2 * half || x > width || y > height) continue;
      const picture = this.pictures[colours[i] ?? 0];
      if (picture !== undefined) context.drawImage(picture, x, y);
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
    if (hovered >= 0) this.edgesOf(context, scene, palette, hovered);
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

  /** Paint the edges of the memory under the pointer once more. */
  private edgesOf(context: CanvasRenderingContext2D, scene: Scene, palette: Palette, node: number): void {
    const { places, mask, from, to, view } = scene;
    context.beginPath();
    for (let i = 0; i < from.length; i++) {
      const [a = 0, b = 0] = [from[i], to[i]];
      if ((a !== node && b !== node) || mask[a] === HIDDEN || mask[b] === HIDDEN) continue;
      context.moveTo(
        (places[2 * a] ?? 0) * view.scale + view.x,
        (places[2 * a + 1] ?? 0) * view.scale + view.y,
      );
      context.lineTo(
        (places[2 * b] ?? 0) * view.scale + view.x,
        (places[2 * b + 1] ?? 0) * view.scale + view.y,
      );
    }
    context.lineWidth = 1.5;
    context.strokeStyle = palette.accent;
    context.stroke();
  }

  /** Draw the picture of a memory in each colour, unless it is drawn already. */
  private prepare(palette: Palette, radius: number, ratio: number): void {
    const key = [radius, ratio, palette.surface, ...palette.memories].join();
    if (key === this.drawn) return;
    this.drawn = key;
    const middle = (radius + 1) * ratio;
    const side = Math.ceil(2 * middle);
    this.pictures = palette.memories.flatMap((colour) => {
      // A bitmap, as a canvas would be copied each time that it is drawn.
      const canvas = new OffscreenCanvas(side, side);
      const context = canvas.getContext("2d");
      if (context === null) return [];
      context.beginPath();
      context.arc(middle, middle, radius * ratio, 0, CIRCLE);
      context.fillStyle = colour;
      context.fill();
      context.lineWidth = ratio;
      context.strokeStyle = palette.surface;
      context.stroke();
      return [canvas.transferToImageBitmap()];
    });
  }
}

/** The radius of a memory in pixels: smaller the more there are, larger when zoomed in; in steps of a half. */
export function radiusOf(scene: Pick<Scene, "mask" | "zoom">): number {
  const base = scene.mask.length > 1200 ? 3 : scene.mask.length > 400 ? 4 : 5;
  return Math.round(2 * base * Math.min(2.5, Math.max(1, Math.sqrt(scene.zoom)))) / 2;
}
