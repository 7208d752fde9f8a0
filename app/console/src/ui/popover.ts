/** The place of a text that opens over the page. */

/** Space between the text and the edge of the window, in pixels. */
const MARGIN = 8;

/** Move an element sideways until it is inside the window or its dialog; if it is wider, align its left edge. */
export function keepInside(element: HTMLElement): void {
  element.style.translate = "";
  const { left, right } = element.getBoundingClientRect();
  const around = (element.closest("dialog") ?? document.documentElement).getBoundingClientRect();
  const leftmost = around.left + MARGIN - left;
  element.style.translate = `${Math.max(leftmost, Math.min(0, around.right - MARGIN - right))}px`;
}
