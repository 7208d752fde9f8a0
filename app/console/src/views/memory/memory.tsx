/** One memory: its prompt, a slider for each model's score, and the prompts that are most like it. */
import { useState } from "preact/hooks";
import { useQuery } from "../../api/query";
import { policy, status } from "../../api/shared";
import type { Memory } from "../../api/types";
import { ApiError } from "../../api/client";
import { decimal, time } from "../../lib/format";
import { curl } from "../../lib/sql";
import { Dialog } from "../../ui/dialog";
import { ModelName } from "../../ui/model";
import { Sources } from "../../ui/panel";
import { Empty, ErrorNote, Skeleton } from "../../ui/states";
import { toast } from "../../ui/toasts";
import { loadMemories, teachMemories, type Loaded } from "./data";
import { memorySql } from "./sources";

interface Props {
  id: number;
  loaded: Loaded;
  /** The candidates, cheapest first. */
  models: readonly string[];
  onOpen: (id: number) => void;
  onForget: (id: number) => void;
  onClose: () => void;
}

/** How many similar memories are listed. */
const NEAR = 5;

export function MemoryDialog({ id, loaded, models, onOpen, onForget, onClose }: Props) {
  const found = useQuery((signal) => loadMemories([id], signal), [id]);
  const memory = found.data?.[0];
  const state = status.value;
  const save = async (before: Memory, scores: Record<string, number>): Promise<void> => {
    loaded.change(id, { scores });
    found.set([{ ...before, scores }]);
    try {
      await teachMemories([{ ...before, scores }]);
    } catch (error) {
      loaded.change(id, { scores: before.scores });
      found.set([before]);
      throw error;
    }
  };
  return (
    <Dialog title={`Memory ${id}`} onClose={onClose}>
      {found.error && <ErrorNote error={found.error} retry={found.reload} />}
      {found.slow && <Skeleton lines={5} />}
      {found.data && !memory && (
        <Empty title="This tenant has no such memory">
          <p>It may have been forgotten, or evicted when the memory was full.</p>
        </Empty>
      )}
      {memory && (
        <div class="stack">
          <p class="prompt-text memory-prompt" tabIndex={0}>
            {memory.prompt ?? "This tenant stores no prompts."}
          </p>
          <p class="row muted memory-meta">
            {memory.task !== null && <span class="badge">{memory.task}</span>}
            <span>scores by: {memory.source}</span>
            <span>taught {time(memory.taught_at)}</span>
          </p>
          <Scores key={id} memory={memory} models={models} onSave={(scores) => save(memory, scores)} />
          <Near id={id} loaded={loaded} onOpen={onOpen} />
        </div>
      )}
      <footer class="row sources">
        {memory && (
          <button type="button" class="button danger small memory-forget" onClick={() => onForget(id)}>
            Forget it
          </button>
        )}
        <Sources
          about={`Memory ${id}`}
          curl={curl(`/v1/router/memories?ids=${id}`)}
          sql={state ? memorySql(state, id) : undefined}
        />
      </footer>
    </Dialog>
  );
}

interface ScoresProps {
  memory: Memory;
  models: readonly string[];
  onSave: (scores: Record<string, number>) => Promise<void>;
}

function Scores({ memory, models, onSave }: ScoresProps) {
  const [scores, setScores] = useState<Record<string, number>>(memory.scores);
  const [error, setError] = useState<ApiError>();
  const shown = [
    ...models.filter((model) => policy.value?.models.includes(model) ?? true),
    ...Object.keys(memory.scores).filter((model) => !models.includes(model)),
  ];
  const changed = shown.some((model) => scores[model] !== memory.scores[model]);
  const locked = memory.prompt === null;
  const save = async (next: Record<string, number>, said: string, undo?: Record<string, number>) => {
    setError(undefined);
    setScores(next);
    try {
      await onSave(next);
      toast(said, undo && { label: "Undo", run: () => void save(undo, "The scores are as they were.") });
    } catch (thrown) {
      setError(thrown instanceof ApiError ? thrown : new ApiError(String(thrown), 0));
    }
  };
  return (
    <form
      class="memory-scores"
      onSubmit={(event) => {
        event.preventDefault();
        void save(scores, "The scores are saved.", memory.scores);
      }}
    >
      {shown.map((model) => {
        const score = scores[model];
        return (
          <div key={model} class="memory-score">
            <label for={`score-${model}`}>
              <ModelName name={model} />
            </label>
            <input
              id={`score-${model}`}
              type="range"
              min={0}
              max={1}
              step={0.05}
              disabled={locked}
              class={score === undefined ? "unknown" : ""}
              value={score ?? 0}
              aria-valuetext={score === undefined ? "no score" : decimal(score, 2)}
              onInput={(event) => setScores({ ...scores, [model]: event.currentTarget.valueAsNumber })}
            />
            <output for={`score-${model}`}>{score === undefined ? "none" : decimal(score, 2)}</output>
          </div>
        );
      })}
      {locked && <p class="muted">Scores cannot be changed, because the prompt is not stored.</p>}
      {error && <ErrorNote error={error} />}
      {!locked && (
        <div class="row">
          <button type="submit" class="button primary small" disabled={!changed}>
            Save scores
          </button>
          {changed && (
            <button type="button" class="button quiet small" onClick={() => setScores(memory.scores)}>
              Reset
            </button>
          )}
        </div>
      )}
    </form>
  );
}

function Near({ id, loaded, onOpen }: { id: number; loaded: Loaded; onOpen: (id: number) => void }) {
  const graph = loaded.graph;
  const at = graph?.nodes.findIndex((node) => node.id === id) ?? -1;
  if (graph === null || at < 0) return null;
  const near = graph.edges
    .nearOf(at)
    .map(({ node, similarity }) => ({ node: graph.nodes[node], similarity }))
    .filter(({ node }) => node !== undefined && !graph.hidden.has(node.id))
    .slice(0, NEAR);
  if (near.length === 0) return null;
  return (
    <section>
      <h3>Most alike</h3>
      <ul class="memory-near">
        {near.map(({ node, similarity }) => (
          <li key={node?.id}>
            <button type="button" class="memory-open" onClick={() => node && onOpen(node.id)}>
              <span class="muted">{decimal(similarity, 2)}</span>
              <span class="excerpt">{node?.prompt ?? `Memory ${node?.id ?? ""}`}</span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
