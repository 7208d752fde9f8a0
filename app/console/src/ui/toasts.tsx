/** Short messages at the edge of the page, which screen readers read out. */
import { signal } from "@preact/signals";

interface Toast {
  id: number;
  text: string;
  /** A button of the message. */
  action?: { label: string; run: () => void };
}

const shown = signal<Toast[]>([]);
const spoken = signal("");
let next = 0;

/** Have screen readers read a text without showing it. */
export function announce(text: string): void {
  spoken.value = text;
}

/** Show a message for some seconds, longer if it has an action. */
export function toast(text: string, action?: Toast["action"]): void {
  const id = next++;
  shown.value = [...shown.value.slice(-2), { id, text, ...(action && { action }) }];
  announce(text);
  setTimeout(() => dismiss(id), action ? 10_000 : 5_000);
}

function dismiss(id: number): void {
  shown.value = shown.value.filter((each) => each.id !== id);
}

export function Toasts() {
  return (
    <>
      <div class="toasts">
        {shown.value.map(({ id, text, action }) => (
          <p class="toast" key={id}>
            <span>{text}</span>
            {action && (
              <button
                type="button"
                class="button small"
                onClick={() => {
                  dismiss(id);
                  action.run();
                }}
              >
                {action.label}
              </button>
            )}
          </p>
        ))}
      </div>
      <p class="visually-hidden" role="status" aria-live="polite">
        {spoken.value}
      </p>
    </>
  );
}
