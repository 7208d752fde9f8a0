/** What this tab has taught, newest last, and how the last of it is undone. */
import { computed, signal } from "@preact/signals";
import { json } from "../../api/client";
import { refresh, status } from "../../api/shared";
import type { Memory, Taught } from "../../api/types";
import { tenantKey } from "../../session";

export interface Example {
  prompt: string;
  scores: Record<string, number>;
  completion_tokens: Record<string, number>;
  task?: string;
}

export interface Lesson extends Example {
  /** null: it is being taught. */
  memoryId: number | null;
  /** The labels that it replaced; null: the memory is new. undefined: replaced, but the labels are not known. */
  earlier: Example | null | undefined;
}

const all = signal<{ key: string | null; lessons: Lesson[] }>({ key: null, lessons: [] });
/** The lessons of the present key. */
export const lessons = computed(() => (all.value.key === tenantKey.value ? all.value.lessons : []));

function setLessons(next: Lesson[]): void {
  all.value = { key: tenantKey.value, lessons: next };
}

/** Return the memory that teaching this prompt would overwrite, or null. */
export async function earlierLabels(prompt: string, signal: AbortSignal): Promise<Example | null> {
  // The search looks for a part of the prompt; an address has room for its beginning.
  const search = encodeURIComponent(prompt.trim().slice(0, 300));
  const found = await json<{ data: Memory[] }>(`/v1/router/memories?limit=100&search=${search}`, { signal });
  const memory = found.data.find((each) => each.prompt === prompt.trim() && each.source === "human");
  return memory ? exampleOf(memory) : null;
}

function exampleOf(memory: Memory): Example {
  return {
    prompt: memory.prompt ?? "",
    scores: memory.scores,
    completion_tokens: memory.completion_tokens,
    ...(memory.task !== null && { task: memory.task }),
  };
}

/** Teach an example. It is shown as taught at once, and taken back if the server refuses it. */
export async function teach(example: Example, earlier: Example | null): Promise<void> {
  const lesson: Lesson = { ...example, memoryId: null, earlier };
  const before = lessons.value;
  setLessons([...before, lesson]);
  const undo = warm(earlier === null ? 1 : 0);
  try {
    const taught = await json<Taught>("/v1/router/preferences/rank", {
      json: { ...example, source: "human" },
    });
    const replaced = taught.created === 0;
    const known = { ...lesson, memoryId: taught.memory_ids[0] ?? null };
    known.earlier = replaced ? (earlier ?? undefined) : null;
    setLessons(lessons.value.map((each) => (each === lesson ? known : each)));
  } catch (error) {
    setLessons(before);
    undo();
    throw error;
  }
  void refresh();
}

/** Undo a lesson: forget a new memory, or teach an overwritten one its earlier labels. */
export async function undo(lesson: Lesson): Promise<void> {
  const before = lessons.value;
  setLessons(before.filter((each) => each !== lesson));
  const back = warm(lesson.earlier === null ? -1 : 0);
  try {
    if (lesson.earlier) {
      await json<Taught>("/v1/router/preferences/rank", { json: { ...lesson.earlier, source: "human" } });
    } else if (lesson.earlier === null) {
      await json(`/v1/router/memories/${lesson.memoryId ?? 0}`, { method: "DELETE" });
    }
  } catch (error) {
    setLessons(before);
    back();
    throw error;
  }
  void refresh();
}

/** Show that many memories more at once; returns a function that takes it back. */
function warm(memories: number): () => void {
  const shown = status.value;
  if (shown === null || memories === 0) return () => undefined;
  status.value = {
    ...shown,
    memories: shown.memories + memories,
    policies: shown.policies.map((each) => ({
      ...each,
      memories: each.memories + memories,
      needed: Math.max(0, each.seed_count - each.memories - memories),
    })),
  };
  return () => (status.value = shown);
}
