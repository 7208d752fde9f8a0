import { expect, test } from "vitest";
import { fitted, inside, nearest, zoomed } from "./viewport";

test("zooming keeps the place under the pointer", () => {
  const before = { x: 30, y: -20, scale: 2 };
  const after = zoomed(before, 1.5, 100, 80);
  expect((100 - after.x) / after.scale).toBeCloseTo((100 - before.x) / before.scale);
  expect((80 - after.y) / after.scale).toBeCloseTo((80 - before.y) / before.scale);
  expect(zoomed(before, 1e9, 0, 0).scale).toBe(20);
});

test("a fitted view has every place within the margin", () => {
  const places = new Float32Array([-500, 0, 300, 40, 0, -900]);
  const view = fitted(places, { width: 600, height: 400 }, 20);
  for (let i = 0; i < 6; i += 2) {
    const x = (places[i] ?? 0) * view.scale + view.x;
    const y = (places[i + 1] ?? 0) * view.scale + view.y;
    expect(x).toBeGreaterThanOrEqual(19.9);
    expect(x).toBeLessThanOrEqual(580.1);
    expect(y).toBeGreaterThanOrEqual(19.9);
    expect(y).toBeLessThanOrEqual(380.1);
  }
  expect(fitted(new Float32Array(), { width: 600, height: 400 }, 20).scale).toBe(1);
});

test("the nearest allowed place within reach is found", () => {
  const places = new Float32Array([0, 0, 10, 0, 100, 100]);
  const view = { x: 50, y: 50, scale: 2 };
  expect(nearest(places, view, 68, 50, 12, () => true)).toBe(1);
  expect(nearest(places, view, 68, 50, 12, (i) => i !== 1)).toBe(-1);
});

test("points are inside or outside of a lasso", () => {
  const lasso = [0, 0, 10, 0, 10, 10, 0, 10];
  expect(inside(lasso, 5, 5)).toBe(true);
  expect(inside(lasso, 15, 5)).toBe(false);
  expect(inside([0, 0], 0, 0)).toBe(false);
});
