/** The map outside of Preact: the thread of the layout, the canvas, and one frame at a time. */
import { fitted, inside, nearest, zoomed, type View } from "../../lib/viewport";
import { TOKENS } from "./colours";
import { HIDDEN, Painter, paletteOf, SHOWN, type Palette, type Scene } from "./draw";
import type { Edges } from "./edges";
import type { FromLayout, ToLayout } from "./layout";

const MARGIN = 28;
/** How far beside a memory the pointer may be, in pixels. */
const REACH = 12;

export class MapScene {
  readonly scene: Scene;
  /** Called once, when the first positions are there. */
  onReady: () => void = () => undefined;
  private readonly worker: Worker;
  private readonly painter = new Painter();
  private readonly watchers: (() => void)[] = [];
  private palette: Palette;
  private frame = 0;
  private ready = false;
  /** Positions that the next frame shows. */
  private arrived: FromLayout | null = null;
  /** The view shows everything until the user zooms or pans. */
  private following = true;
  private whole = 1;
  private size = { width: 1, height: 1 };
  private readonly still = matchMedia("(prefers-reduced-motion: reduce)").matches;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    edges: Edges,
    count: number,
  ) {
    this.scene = {
      places: new Float32Array(2 * count),
      colours: new Uint8Array(count),
      mask: new Uint8Array(count).fill(SHOWN),
      from: edges.from,
      to: edges.to,
      rank: edges.rank,
      moving: true,
      selected: new Set(),
      hovered: -1,
      lasso: [],
      view: { x: 0, y: 0, scale: 1 },
      zoom: 1,
    };
    this.palette = paletteOf(TOKENS);
    this.worker = new Worker(new URL("./layout.worker.ts", import.meta.url), { type: "module" });
    this.worker.onmessage = (event: MessageEvent<FromLayout>) => {
      this.arrived = event.data;
      this.request();
    };
    this.send({ kind: "start", count, still: this.still });
    this.watchers.push(edges.listen((batch) => this.send({ kind: "edges", ...batch })));
    const resized = new ResizeObserver(() => this.resize());
    resized.observe(canvas);
    this.watchers.push(() => resized.disconnect());
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const recolour = () => {
      this.palette = paletteOf(TOKENS);
      this.request();
    };
    dark.addEventListener("change", recolour);
    this.watchers.push(() => dark.removeEventListener("change", recolour));
  }

  close(): void {
    this.worker.terminate();
    cancelAnimationFrame(this.frame);
    for (const end of this.watchers) end();
  }

  /** Change what is drawn. */
  update(change: Partial<Scene>): void {
    Object.assign(this.scene, change);
    this.request();
  }

  move(view: View): void {
    this.following = false;
    this.update({ view });
  }

  zoom(factor: number, x = this.size.width / 2, y = this.size.height / 2): void {
    this.move(zoomed(this.scene.view, factor, x, y));
  }

  pan(x: number, y: number): void {
    const { view } = this.scene;
    this.move({ ...view, x: view.x + x, y: view.y + y });
  }

  fit(): void {
    this.following = true;
    this.request();
  }

  /** The memory at a point of the canvas; -1: none. */
  at(x: number, y: number): number {
    const { places, view, mask } = this.scene;
    return this.ready ? nearest(places, view, x, y, REACH, (i) => mask[i] === SHOWN) : -1;
  }

  /** The memories inside the lasso. */
  enclosed(): number[] {
    const { places, view, mask, lasso } = this.scene;
    const found: number[] = [];
    for (let i = 0; i < mask.length; i++) {
      const x = (places[2 * i] ?? 0) * view.scale + view.x;
      const y = (places[2 * i + 1] ?? 0) * view.scale + view.y;
      if (mask[i] === SHOWN && inside(lasso, x, y)) found.push(i);
    }
    return found;
  }

  /** The place of a memory on the canvas; null: it is outside, or not known yet. */
  placeOf(i: number): { x: number; y: number } | null {
    const { places, view, mask } = this.scene;
    if (!this.ready || i < 0 || mask[i] === HIDDEN) return null;
    const x = (places[2 * i] ?? 0) * view.scale + view.x;
    const y = (places[2 * i + 1] ?? 0) * view.scale + view.y;
    return x < 0 || y < 0 || x > this.size.width || y > this.size.height ? null : { x, y };
  }

  private send(message: ToLayout, transfer: Transferable[] = []): void {
    this.worker.postMessage(message, transfer);
  }

  /** Take the positions that have arrived, and let the layout go on. */
  private take({ buffer, resting }: FromLayout): void {
    const before = this.scene.places;
    this.scene.places = buffer;
    this.scene.moving = !resting;
    this.send({ kind: "drawn", buffer: before }, [before.buffer]);
    this.canvas.dataset.resting = String(resting);
    if (this.ready) return;
    this.ready = true;
    this.scene.view = fitted(buffer, this.size, MARGIN);
    this.onReady();
  }

  private resize(): void {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    this.size = { width, height };
    this.canvas.width = Math.round(width * devicePixelRatio);
    this.canvas.height = Math.round(height * devicePixelRatio);
    this.draw();
  }

  private request(): void {
    if (this.frame === 0) this.frame = requestAnimationFrame(() => this.draw());
  }

  private draw(): void {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    if (this.arrived !== null) this.take(this.arrived);
    this.arrived = null;
    const context = this.canvas.getContext("2d");
    if (context === null || !this.ready) return;
    const target = fitted(this.scene.places, this.size, MARGIN);
    this.whole = target.scale;
    if (this.following && this.follow(target)) this.request();
    this.scene.zoom = this.scene.view.scale / this.whole;
    this.painter.paint(context, this.scene, this.palette, devicePixelRatio);
  }

  /** Move the view towards the one that shows all; returns whether it has not arrived. */
  private follow(target: View): boolean {
    const { view } = this.scene;
    const far =
      Math.abs(target.x - view.x) + Math.abs(target.y - view.y) > 1 ||
      Math.abs(target.scale / view.scale - 1) > 0.002;
    const share = far && !this.still ? 0.2 : 1;
    const between = (from: number, to: number) => from + (to - from) * share;
    this.scene.view = {
      x: between(view.x, target.x),
      y: between(view.y, target.y),
      scale: between(view.scale, target.scale),
    };
    return far && !this.still;
  }
}
