/** Pointers and keys on the map: drag, pinch and wheel move the view, shift or the mode Select draws a lasso. */
import type { MapScene } from "./scene";

export interface Reactions {
  selecting: () => boolean;
  open: (node: number) => void;
  /** Add memories to the selection, or take one out that is in it. */
  select: (nodes: number[], toggle: boolean) => void;
  hover: (node: number) => void;
}

/** Pixels that a pointer moves before a click is a drag. */
const SLACK = 4;

interface Point {
  x: number;
  y: number;
}

/** React to the pointers on a canvas; returns a function that ends it. */
export function followPointers(canvas: HTMLCanvasElement, map: MapScene, react: Reactions): () => void {
  const held = new Map<number, Point>();
  let begun: Point = { x: 0, y: 0 };
  let [moved, lassoing] = [false, false];
  let last = -1;
  const placeOf = (event: MouseEvent): Point => {
    const box = canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const hover = (node: number) => {
    if (node === last) return;
    last = node;
    canvas.style.cursor = node >= 0 ? "pointer" : "";
    react.hover(node);
  };

  const down = (event: PointerEvent) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    held.set(event.pointerId, placeOf(event));
    if (held.size > 1) {
      moved = true;
      map.update({ lasso: [] });
      lassoing = false;
      return;
    }
    begun = placeOf(event);
    moved = false;
    lassoing = event.shiftKey || react.selecting();
  };
  const move = (event: PointerEvent) => {
    const at = placeOf(event);
    const before = held.get(event.pointerId);
    if (before === undefined) {
      hover(map.at(at.x, at.y));
      return;
    }
    const other = [...held].find(([id]) => id !== event.pointerId)?.[1];
    held.set(event.pointerId, at);
    if (other !== undefined) {
      const distance = (point: Point) => Math.hypot(point.x - other.x, point.y - other.y);
      map.zoom(distance(at) / Math.max(1, distance(before)), (at.x + other.x) / 2, (at.y + other.y) / 2);
      map.pan((at.x - before.x) / 2, (at.y - before.y) / 2);
      return;
    }
    if (!moved && Math.hypot(at.x - begun.x, at.y - begun.y) < SLACK) return;
    if (!moved) hover(-1);
    moved = true;
    if (lassoing) map.update({ lasso: [...map.scene.lasso, at.x, at.y] });
    else map.pan(at.x - before.x, at.y - before.y);
  };
  const up = (event: PointerEvent) => {
    if (!held.delete(event.pointerId) || held.size > 0) return;
    if (lassoing && moved) {
      react.select(map.enclosed(), false);
    } else if (!moved) {
      const node = map.at(begun.x, begun.y);
      if (node >= 0 && (lassoing || event.ctrlKey || event.metaKey)) react.select([node], true);
      else if (node >= 0) react.open(node);
    }
    map.update({ lasso: [] });
  };
  const cancel = (event: PointerEvent) => {
    held.delete(event.pointerId);
    map.update({ lasso: [] });
  };
  const leave = () => hover(-1);
  const wheel = (event: WheelEvent) => {
    event.preventDefault();
    const at = placeOf(event);
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    map.zoom(Math.exp(-Math.max(-60, Math.min(60, event.deltaY * lines)) * 0.004), at.x, at.y);
  };
  const listening = new AbortController();
  const options = { signal: listening.signal };
  canvas.addEventListener("pointerdown", down, options);
  canvas.addEventListener("pointermove", move, options);
  canvas.addEventListener("pointerup", up, options);
  canvas.addEventListener("pointercancel", cancel, options);
  canvas.addEventListener("pointerleave", leave, options);
  canvas.addEventListener("wheel", wheel, { ...options, passive: false });
  return () => listening.abort();
}

const STEP = 48;
const KEYS: Record<string, (map: MapScene) => void> = {
  ArrowLeft: (map) => map.pan(STEP, 0),
  ArrowRight: (map) => map.pan(-STEP, 0),
  ArrowUp: (map) => map.pan(0, STEP),
  ArrowDown: (map) => map.pan(0, -STEP),
};

/** React to a key while the map has the focus. */
export function pressed(event: KeyboardEvent, map: MapScene | null): void {
  const run = KEYS[event.key];
  if (run === undefined || map === null || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  run(map);
}
