/** A panel with a table of things and a dialog to add or change one. */
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { json } from "../../api/client";
import { useQuery, type Query } from "../../api/query";
import { curl } from "../../lib/sql";
import { adminKey } from "../../session";
import { Dialog } from "../../ui/dialog";
import { Panel } from "../../ui/panel";
import { Empty, ErrorNote, Skeleton } from "../../ui/states";

export const ADMIN = "/v1/router/admin";

/** Load a list of the admin API. */
export function useList<T>(path: string): Query<T[]> {
  return useQuery(
    async (signal) => (await json<{ data: T[] }>(path, { admin: true, signal })).data,
    [path, adminKey.value],
  );
}

interface Column<T> {
  title: string;
  number?: boolean;
  cell: (row: T) => ComponentChildren;
}

interface Props<T> {
  title: string;
  path: string;
  sql: string;
  list: Query<T[]>;
  idOf: (row: T) => string;
  columns: readonly Column<T>[];
  empty: string;
  /** The label of the button that adds one. */
  add?: string;
  /** The dialog's content: of a row, or null for a new one. `close` reloads the list. */
  edit: (row: T | null, close: () => void) => ComponentChildren;
  /** Whether a row can be changed. */
  editable?: (row: T) => boolean;
}

export function EntityTable<T>(props: Props<T>) {
  const { title, path, sql, list, idOf, columns, empty, add, edit, editable } = props;
  const [open, setOpen] = useState<{ row: T | null } | null>(null);
  return (
    <Panel
      title={title}
      sql={sql}
      curl={curl(path, { admin: true })}
      actions={
        add !== undefined && (
          <button type="button" class="button small" onClick={() => setOpen({ row: null })}>
            {add}
          </button>
        )
      }
    >
      {list.error && <ErrorNote error={list.error} retry={list.reload} />}
      {list.slow && <Skeleton lines={5} />}
      {list.data?.length === 0 && (
        <Empty title="Nothing here yet">
          <p>{empty}</p>
        </Empty>
      )}
      {list.data !== undefined && list.data.length > 0 && (
        <div class="scroll-x" tabIndex={0} role="region" aria-label={title}>
          <table class="entities">
            <thead>
              <tr>
                {columns.map((column) => (
                  <th key={column.title} scope="col" class={column.number === true ? "number" : ""}>
                    {column.title}
                  </th>
                ))}
                <th scope="col">
                  <span class="visually-hidden">Actions</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {list.data.map((row) => (
                <tr key={idOf(row)}>
                  {columns.map((column) => (
                    <td key={column.title} class={column.number === true ? "number" : ""}>
                      {column.cell(row)}
                    </td>
                  ))}
                  <td class="number">
                    {(editable?.(row) ?? true) && (
                      <button
                        type="button"
                        class="button small quiet"
                        aria-label={`Change ${idOf(row)}`}
                        onClick={() => setOpen({ row })}
                      >
                        Change
                      </button>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {open && (
        <Dialog title={open.row === null ? (add ?? title) : idOf(open.row)} onClose={() => setOpen(null)}>
          {edit(open.row, () => {
            setOpen(null);
            list.reload();
          })}
        </Dialog>
      )}
    </Panel>
  );
}

/** A button that asks once more before it deletes. */
export function Delete({ what, onDelete }: { what: string; onDelete: () => Promise<void> }) {
  const [asked, setAsked] = useState(false);
  const [message, setMessage] = useState<string | null>(null);
  return (
    <div class="delete">
      <button
        type="button"
        class="button danger small"
        onClick={() => {
          if (!asked) {
            setAsked(true);
            return;
          }
          onDelete().catch((error: unknown) =>
            setMessage(error instanceof Error ? error.message : String(error)),
          );
        }}
      >
        {asked ? `Really delete ${what}?` : "Delete"}
      </button>
      {message !== null && (
        <p class="note bad" role="alert">
          {message}
        </p>
      )}
    </div>
  );
}
