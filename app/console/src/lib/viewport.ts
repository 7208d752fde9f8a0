/** The visible part of a map: its places are multiplied by `scale` and moved by `x` and `y`, in pixels. */

export interface View {
  x: number;
  y: number;
  scale: number;
}

export interface Size {
  width: number;
  height: number;
}

const SMALLEST = 0.02;
const LARGEST = 20;

/** Zoom by a factor; the place under the point `x`, `y` of the screen stays there. */
export function zoomed(view: View, factor: number, x: number, y: number): View {
  const scale = Math.min(LARGEST, Math.max(SMALLEST, view.scale * factor));
  const by = scale / view.scale;
  return { scale, x: x - (x - view.x) * by, y: y - (y - view.y) * by };
}

/** The view that shows all places (x and y in turn) with a margin. */
export function fitted(places: Float32Array, size: Size, margin: number): View {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let i = 0; i + 1 < places.length; i += 2) {
    const x = places[i] ?? 0;
    const y = places[i + 1] ?? 0;
    if (x < left) left = x;
    if (x > right) right = x;
    if (y < top) top = y;
    if (y > bottom) bottom = y;
  }
  if (left > right) return { x: size.width / 2, y: size.height / 2, scale: 1 };
  const wide = Math.max(1, size.width - 2 * margin) / Math.max(60, right - left);
  const high = Math.max(1, size.height - 2 * margin) / Math.max(60, bottom - top);
  const scale = Math.min(LARGEST, Math.max(SMALLEST, Math.min(wide, high)));
  return {
    scale,
    x: size.width / 2 - (scale * (left + right)) / 2,
    y: size.height / 2 - (scale * (top + bottom)) / 2,
  };
}

/** The number of the place nearest to a point of the screen, at most `reach` pixels away and allowed; -1: none. */
export function nearest(
  places: Float32Array,
  view: View,
  x: number,
  y: number,
  reach: number,
  allowed: (i: number) => boolean,
): number {
  let found = -1;
  let least = reach * reach;
  for (let i = 0; 2 * i + 1 < places.length; i++) {
    const dx = (places[2 * i] ?? 0) * view.scale + view.x - x;
    const dy = (places[2 * i + 1] ?? 0) * view.scale + view.y - y;
    const distance = dx * dx + dy * dy;
    if (distance <= least && allowed(i)) {
      least = distance;
      found = i;
    }
  }
  return found;
}

/** Whether a point is inside a polygon (x and y in turn), which closes by itself. */
export function inside(polygon: readonly number[], x: number, y: number): boolean {
  let odd = false;
  for (let i = 0, j = polygon.length - 2; i + 1 < polygon.length; j = i, i += 2) {
    const [ax = 0, ay = 0, bx = 0, by = 0] = [polygon[i], polygon[i + 1], polygon[j], polygon[j + 1]];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) odd = !odd;
  }
  return odd;
}
