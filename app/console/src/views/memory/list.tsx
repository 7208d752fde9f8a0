/** The memories as a list in pages: what the map shows, for keyboards and screen readers too. */
import { useEffect, useState } from "preact/hooks";
import type { MemoryNode } from "../../api/types";
import { decimal } from "../../lib/format";
import { colourOf } from "../../lib/models";

export type Row = Pick<MemoryNode, "id" | "prompt" | "task" | "source" | "scores">;

const PAGE = 10;

interface Props {
  rows: readonly Row[];
  /** The candidates, cheapest first. */
  models: readonly string[];
  selected: ReadonlySet<number>;
  onSelect: (ids: readonly number[], on: boolean) => void;
  onOpen: (id: number) => void;
  onPoint: (id: number | null) => void;
}

export function MemoryList({ rows, models, selected, onSelect, onOpen, onPoint }: Props) {
  const [page, setPage] = useState(0);
  const pages = Math.max(1, Math.ceil(rows.length / PAGE));
  const at = Math.min(page, pages - 1);
  const shown = rows.slice(at * PAGE, (at + 1) * PAGE);
  const all = rows.length > 0 && rows.every((row) => selected.has(row.id));
  useEffect(() => {
    if (page !== at) setPage(at);
  }, [page, at]);
  return (
    <>
      <label class="memory-all">
        <input
          type="checkbox"
          checked={all}
          disabled={rows.length === 0}
          onChange={(event) =>
            onSelect(
              rows.map((row) => row.id),
              event.currentTarget.checked,
            )
          }
        />
        Select all {rows.length.toLocaleString("en")}
      </label>
      <ul class="memory-rows">
        {shown.map((row) => (
          <li
            key={row.id}
            class={selected.has(row.id) ? "selected" : ""}
            onPointerEnter={() => onPoint(row.id)}
            onPointerLeave={() => onPoint(null)}
          >
            <input
              type="checkbox"
              aria-label={`Select memory ${row.id}`}
              checked={selected.has(row.id)}
              onChange={(event) => onSelect([row.id], event.currentTarget.checked)}
            />
            <button
              type="button"
              class="memory-open"
              onClick={() => onOpen(row.id)}
              onFocus={() => onPoint(row.id)}
              onBlur={() => onPoint(null)}
            >
              <span class="excerpt">{row.prompt ?? `Memory ${row.id}: the prompt is not stored`}</span>
              <span class="facts">
                {models
                  .filter((model) => row.scores[model] !== undefined)
                  .map((model) => (
                    <span key={model} class={`score colour-${colourOf(model)}`} title={model}>
                      <span class="dot" aria-hidden="true" />
                      <span class="visually-hidden">{model} </span>
                      {decimal(row.scores[model], 2)}
                    </span>
                  ))}
                {row.task !== null && <span class="badge">{row.task}</span>}
                {row.source !== "human" && <span class="muted">{row.source}</span>}
              </span>
            </button>
          </li>
        ))}
      </ul>
      {rows.length === 0 && <p class="muted memory-none">No memory matches. Take a filter away.</p>}
      <nav class="row pages" aria-label="Pages">
        <button type="button" class="button small" disabled={at === 0} onClick={() => setPage(at - 1)}>
          Previous
        </button>
        <span class="muted" aria-live="polite">
          {rows.length === 0 ? 0 : at * PAGE + 1}–{Math.min(rows.length, (at + 1) * PAGE)} of{" "}
          {rows.length.toLocaleString("en")}
        </span>
        <button type="button" class="button small" disabled={at >= pages - 1} onClick={() => setPage(at + 1)}>
          Next
        </button>
      </nav>
    </>
  );
}
