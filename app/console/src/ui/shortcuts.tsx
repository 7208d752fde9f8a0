/** Keys that a view reacts to, and the list of them that `?` opens. */
import { signal } from "@preact/signals";
import { useEffect, useLayoutEffect } from "preact/hooks";
import { Dialog } from "./dialog";

export interface Shortcut {
  /** As in `KeyboardEvent.key`. */
  key: string;
  /** For the list; default: `key`. */
  shown?: string;
  what: string;
  /** The key is left to the browser while this is false. */
  when?: () => boolean;
  run: (event: KeyboardEvent) => void;
}

const listed = signal<Shortcut[]>([]);
const open = signal(false);

/** Keys that a slider reacts to itself. */
const OF_SLIDERS = /^(Arrow.*|Home|End|PageUp|PageDown)$/;

/** Whether the element that has the focus reacts to the key itself. */
function taken({ target, key }: KeyboardEvent): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.matches("input[type=range]")) return OF_SLIDERS.test(key);
  if (target.closest("input, textarea, select, [contenteditable], dialog") !== null) return true;
  return key === "Enter" && target.closest("button, a, summary") !== null;
}

/** React to keys while the component is shown, except in a field. */
export function useShortcuts(shortcuts: Shortcut[]): void {
  // With `useEffect`, which runs after the next frame, a key before that would be lost.
  useLayoutEffect(() => {
    listed.value = shortcuts;
    const press = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || taken(event)) return;
      const found = shortcuts.find((each) => each.key === event.key && each.when?.() !== false);
      if (!found) return;
      event.preventDefault();
      found.run(event);
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  });
  useEffect(() => () => void (listed.value = []), []);
}

export function showShortcuts(): void {
  open.value = true;
}

addEventListener("keydown", (event) => {
  if (event.key === "?" && !taken(event)) open.value = true;
});

export function ShortcutList() {
  if (!open.value) return null;
  return (
    <Dialog title="Keys" onClose={() => (open.value = false)}>
      <dl class="keys">
        {[...listed.value, { key: "?", what: "This list" }].map((each) => (
          <div key={each.key + each.what}>
            <dt>
              <kbd>{("shown" in each ? each.shown : undefined) ?? each.key}</kbd>
            </dt>
            <dd>{each.what}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
