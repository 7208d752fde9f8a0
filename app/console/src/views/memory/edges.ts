/** The edges of the map, which arrive in pages. */
import { json } from "../../api/client";
import type { EdgePage, MemoryNode } from "../../api/types";

/** Memories whose edges one call returns: few at first, as each is compared with all others. */
const [FEWEST, MOST] = [15, 200];
const FIRST = 30;
/** Milliseconds that a call should take: fewer calls if the server is fast, and none that keeps it busy for long. */
const GOAL = 60;

export interface EdgeBatch {
  from: Uint16Array;
  to: Uint16Array;
  similarity: Float32Array;
  last: boolean;
}

export interface Near {
  /** The node's number in the graph. */
  node: number;
  similarity: number;
}

/** The edges that have arrived, by the numbers of the nodes; each pair once. */
export class Edges {
  readonly from: number[] = [];
  readonly to: number[] = [];
  /** How many neighbours of one end are more similar than the other end. */
  readonly rank: number[] = [];
  /** The number of nodes whose edges have arrived. */
  done = 0;
  private readonly near: Near[][];
  private readonly listeners = new Set<(batch: EdgeBatch) => void>();
  private readonly pairs = new Set<number>();
  private readonly batches: EdgeBatch[] = [];

  constructor(private readonly nodes: readonly MemoryNode[]) {
    this.near = nodes.map(() => []);
  }

  /** The most similar memories of a node that is loaded, the most similar first. */
  nearOf(node: number): readonly Near[] {
    return this.near[node] ?? [];
  }

  /** Call with every batch: those that have arrived, then each new one. Returns a function that ends it. */
  listen(listener: (batch: EdgeBatch) => void): () => void {
    this.batches.forEach(listener);
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** Load the pages that are missing, one after the other. */
  async load(signal: AbortSignal, progress: () => void): Promise<void> {
    const numbers = new Map(this.nodes.map((node, i) => [node.id, i]));
    let size = FIRST;
    while (this.done < this.nodes.length) {
      const began = performance.now();
      const page = await json<EdgePage>(`/v1/router/memories/graph/edges?offset=${this.done}&limit=${size}`, {
        signal,
      });
      this.done = Math.min(this.nodes.length, this.done + size);
      const share = GOAL / Math.max(1, performance.now() - began);
      size = Math.round(Math.min(MOST, Math.max(FEWEST, size * Math.min(2, share))));
      this.add(page, numbers);
      progress();
    }
  }

  private add(page: EdgePage, numbers: ReadonlyMap<number, number>): void {
    const from: number[] = [];
    const to: number[] = [];
    const similarity: number[] = [];
    for (const edge of page.data) {
      const [a, b] = [numbers.get(edge.memory_id), numbers.get(edge.neighbour_id)];
      if (a === undefined || b === undefined) continue;
      this.near[a]?.push({ node: b, similarity: edge.similarity });
      const pair = Math.min(a, b) * 65536 + Math.max(a, b);
      if (this.pairs.has(pair)) continue;
      this.pairs.add(pair);
      from.push(a);
      to.push(b);
      similarity.push(edge.similarity);
      this.rank.push(this.nearOf(a).length - 1);
    }
    this.from.push(...from);
    this.to.push(...to);
    const batch: EdgeBatch = {
      from: Uint16Array.from(from),
      to: Uint16Array.from(to),
      similarity: Float32Array.from(similarity),
      last: this.done >= this.nodes.length,
    };
    this.batches.push(batch);
    for (const listener of this.listeners) listener(batch);
  }
}
