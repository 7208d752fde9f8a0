/** Forgetting memories at once, with an Undo that teaches them again from what was kept. */
import { useState } from "preact/hooks";
import { ApiError } from "../../api/client";
import { count } from "../../lib/format";
import { Dialog } from "../../ui/dialog";
import { toast } from "../../ui/toasts";
import { forgetMemories, loadMemories, teachMemories, type Loaded } from "./data";
import type { Memory } from "../../api/types";

const named = (n: number) => count(n, "memory", "memories");
const words = (error: unknown) => (error instanceof ApiError ? error.message : String(error));

export interface Forgetting {
  forget: (ids: readonly number[]) => void;
  /** Memories without a stored prompt cannot be taught again: these wait for a confirmation. */
  asking: readonly number[];
  answer: (yes: boolean) => void;
}

export function useForgetting(loaded: Loaded, done: (ids: readonly number[]) => void): Forgetting {
  const [asking, setAsking] = useState<readonly number[]>([]);
  const teachAgain = async (memories: readonly Memory[]) => {
    try {
      const ids = await teachMemories(memories);
      // A memory that is taught again has a new number.
      memories.forEach((memory, i) => {
        loaded.unhide([memory.id]);
        loaded.change(memory.id, { id: ids[i] ?? memory.id });
      });
      toast(`${named(memories.length)} taught again.`);
    } catch (error) {
      toast(`Not taught again: ${words(error)}`, {
        label: "Try again",
        run: () => void teachAgain(memories),
      });
    }
  };
  const carryOut = async (ids: readonly number[]) => {
    loaded.hide(ids);
    done(ids);
    try {
      const kept = (await loadMemories(ids)).filter((memory) => memory.prompt !== null);
      const forgotten = await forgetMemories(ids);
      toast(
        `${named(forgotten)} forgotten.`,
        kept.length > 0 ? { label: "Undo", run: () => void teachAgain(kept) } : undefined,
      );
    } catch (error) {
      loaded.unhide(ids);
      toast(`Not forgotten: ${words(error)}`);
    }
  };
  const storesPrompts = (ids: readonly number[]) =>
    loaded.graph?.nodes.every((node) => node.prompt !== null || !ids.includes(node.id)) ?? true;
  return {
    forget: (ids) => {
      if (ids.length === 0) return;
      if (storesPrompts(ids)) void carryOut(ids);
      else setAsking(ids);
    },
    asking,
    answer: (yes) => {
      if (yes) void carryOut(asking);
      setAsking([]);
    },
  };
}

export function ForgetDialog({ asking, answer }: Forgetting) {
  if (asking.length === 0) return null;
  return (
    <Dialog title={`Forget ${named(asking.length)}?`} onClose={() => answer(false)}>
      <div class="stack">
        <p>This tenant stores no prompts, so that this cannot be undone.</p>
        <p class="row">
          <button type="button" class="button danger" onClick={() => answer(true)}>
            Forget {named(asking.length)}
          </button>
        </p>
      </div>
    </Dialog>
  );
}
