/** Icons of the navigation, drawn for this page on a grid of 24. */
import type { JSX } from "preact";

const PATHS: Record<string, string> = {
  route: "M5 19a2 2 0 1 0 0-.01M19 5a2 2 0 1 0 0-.01M7 19h6a4 4 0 0 0 0-8h-2a4 4 0 0 1 0-8h6",
  teach: "M4 7l8-4 8 4-8 4-8-4M7 9v5c0 2 2 3 5 3s5-1 5-3V9M20 7v6",
  memory:
    "M12 5a1.5 1.5 0 1 0 0-.01M5 12a1.5 1.5 0 1 0 0-.01M19 12a1.5 1.5 0 1 0 0-.01M9 19a1.5 1.5 0 1 0 0-.01M11 6l-5 5M13 6l5 5M6 13l2 5M18 13l-8 6",
  worth: "M4 4v16h16M7 15c4 0 4-8 12-8",
  traffic: "M3 12h4l3-7 4 14 3-7h4",
  settings: "M5 6h14M5 12h14M5 18h14M9 4v4M15 10v4M8 16v4",
  copy: "M9 9h10v10H9zM5 15V5h10",
  close: "M6 6l12 12M18 6L6 18",
  check: "M5 13l4 4L19 7",
  key: "M8 15a3.5 3.5 0 1 0 0-.01M11 12l8-8M16 7l3 3",
  out: "M10 5H5v14h5M14 8l4 4-4 4M18 12H9",
};

export function Icon({ name }: { name: keyof typeof PATHS }): JSX.Element {
  return (
    <svg class="icon" viewBox="0 0 24 24" width="20" height="20" aria-hidden="true" focusable="false">
      <path
        d={PATHS[name]}
        fill="none"
        stroke="currentColor"
        stroke-width="1.75"
        stroke-linecap="round"
        stroke-linejoin="round"
      />
    </svg>
  );
}
