/** A button that copies text. */
import { useState } from "preact/hooks";
import { announce } from "./toasts";
import { Icon } from "./icons";

export function Copy({ text, label = "Copy" }: { text: string; label?: string }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Without HTTPS, and not on this machine, there is no clipboard.
      announce("This browser allows no copying here: select the text instead.");
      return;
    }
    setDone(true);
    announce("Copied.");
    setTimeout(() => setDone(false), 1500);
  };
  return (
    <button type="button" class="button small quiet" onClick={() => void copy()}>
      <Icon name={done ? "check" : "copy"} /> {done ? "Copied" : label}
    </button>
  );
}
