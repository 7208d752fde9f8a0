/** The memories of the map and its edges, and changes of them that are shown before the server has made them. */
import { useEffect, useMemo, useReducer, useState } from "preact/hooks";
import { ApiError, json } from "../../api/client";
import { useQuery, type Query } from "../../api/query";
import { refresh } from "../../api/shared";
import type { Memory, MemoryGraph, MemoryNode } from "../../api/types";
import { tenantKey } from "../../session";
import { Edges } from "./edges";

export interface Graph {
  /** Nodes keep their numbers: one that is forgotten stays, hidden. */
  nodes: MemoryNode[];
  hidden: ReadonlySet<number>;
  total: number;
  sampled: boolean;
  /** The models with a price, cheapest first. */
  models: string[];
  edges: Edges;
}

export interface Loaded {
  query: Query<MemoryGraph>;
  graph: Graph | null;
  edgeError: ApiError | undefined;
  retryEdges: () => void;
  /** Replace labels of a memory, or its number after it was taught again. */
  change: (id: number, change: Partial<Pick<MemoryNode, "id" | "scores">>) => void;
  hide: (ids: readonly number[]) => void;
  unhide: (ids: readonly number[]) => void;
}

export function useGraph(): Loaded {
  const query = useQuery(
    (signal) => json<MemoryGraph>("/v1/router/memories/graph", { signal }),
    [tenantKey.value],
  );
  const [hidden, setHidden] = useState<ReadonlySet<number>>(new Set());
  const [version, touch] = useReducer((n: number) => n + 1, 0);
  const [edgeError, setEdgeError] = useState<ApiError>();
  const [attempt, retryEdges] = useReducer((n: number) => n + 1, 0);
  const nodes = useMemo(() => [...(query.data?.data ?? [])], [query.data]);
  const edges = useMemo(() => new Edges(query.data?.data ?? []), [query.data]);

  useEffect(() => setHidden(new Set()), [query.data]);
  useEffect(() => {
    const abort = new AbortController();
    setEdgeError(undefined);
    edges
      .load(abort.signal, () => touch(undefined))
      .catch((error: unknown) => {
        if (!abort.signal.aborted)
          setEdgeError(error instanceof ApiError ? error : new ApiError(String(error), 0));
      });
    return () => abort.abort();
  }, [edges, attempt]);

  const graph = useMemo<Graph | null>(() => {
    if (query.data === undefined) return null;
    const { total, sampled, models } = query.data;
    return { nodes: [...nodes], hidden, total: total - hidden.size, sampled, models, edges };
  }, [query.data, nodes, hidden, version]);

  return {
    query,
    graph,
    edgeError,
    retryEdges: () => retryEdges(undefined),
    change: (id, change) => {
      const at = nodes.findIndex((node) => node.id === id);
      const node = nodes[at];
      if (node !== undefined) nodes[at] = { ...node, ...change };
      touch(undefined);
    },
    hide: (ids) => setHidden((before) => new Set([...before, ...ids])),
    unhide: (ids) => setHidden((before) => new Set([...before].filter((id) => !ids.includes(id)))),
  };
}

/** Memories that one call names. */
const NAMED = 200;

function parts<T>(all: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(all.length / NAMED) }, (_, i) =>
    all.slice(i * NAMED, (i + 1) * NAMED),
  );
}

/** Load memories with their whole prompts. */
export async function loadMemories(ids: readonly number[], signal?: AbortSignal): Promise<Memory[]> {
  const found: Memory[] = [];
  for (const part of parts(ids)) {
    const path = `/v1/router/memories?limit=1000&ids=${part.join(",")}`;
    found.push(...(await json<{ data: Memory[] }>(path, { signal })).data);
  }
  return found;
}

export async function forgetMemories(ids: readonly number[]): Promise<number> {
  let forgotten = 0;
  for (const part of parts(ids)) {
    const path = `/v1/router/memories?ids=${part.join(",")}`;
    forgotten += (await json<{ forgotten: number }>(path, { method: "DELETE" })).forgotten;
  }
  void refresh();
  return forgotten;
}

/** Teach memories as they are, which overwrites those of the same prompt and source; return their numbers. */
export async function teachMemories(memories: readonly Memory[]): Promise<number[]> {
  const ids: number[] = [];
  for (const part of parts(memories)) {
    const examples = part.map(({ prompt, task, source, scores, completion_tokens }) => ({
      prompt,
      task,
      source,
      scores,
      completion_tokens,
    }));
    const taught = await json<{ memory_ids: number[] }>("/v1/router/preferences/rank", {
      json: { examples },
    });
    ids.push(...taught.memory_ids);
  }
  void refresh();
  return ids;
}
