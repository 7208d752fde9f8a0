/** The changes of a policy, each with the settings before and after, and Undo. */
import { useState } from "preact/hooks";
import { json, type ApiError } from "../../api/client";
import { useQuery } from "../../api/query";
import { refresh, status } from "../../api/shared";
import type { RecordedChange } from "../../api/types";
import { percent, time } from "../../lib/format";
import { curl } from "../../lib/sql";
import { differences } from "../../lib/worth";
import { tenantKey } from "../../session";
import { Dialog } from "../../ui/dialog";
import { Panel } from "../../ui/panel";
import { ErrorNote, Skeleton } from "../../ui/states";
import { toast } from "../../ui/toasts";
import { undo } from "./apply";
import { Diff } from "./diff";
import { asApiError } from "./measure";
import { changesSql } from "./sources";

const SHOWN = 50;
/** The list's id, for a shortcut. */
export const HISTORY = "changes";

interface Props {
  policy: string;
  /** Another number: load the list again. */
  round: number;
  onChanged: () => void;
}

function whoOf(change: RecordedChange): string {
  if (change.changed_by === "key") return `key ${change.key_id ?? ""}`;
  return { admin: "admin API", cli: "command line", psql: "psql" }[change.changed_by];
}

function whatOf(change: RecordedChange): string {
  if (change.before === null) return "added";
  if (change.cause === "undo") return `undid change ${change.undoes ?? ""}`;
  if (change.cause === "put") return "set";
  if (change.at_most !== null) return `certified: at most ${percent(change.at_most, 1)} worse`;
  return change.target === null ? "calibrated" : `calibrated to keep ${percent(change.target, 1)}`;
}

export function History({ policy, round, onChanged }: Props) {
  const path = `/v1/router/policies/${encodeURIComponent(policy)}/changes?limit=${SHOWN}`;
  const found = useQuery(
    (signal) => json<{ data: RecordedChange[] }>(path, { signal }),
    [path, tenantKey.value, round],
  );
  const [asked, setAsked] = useState<RecordedChange | null>(null);
  const rows = found.data?.data ?? [];
  return (
    <Panel
      title="Changes of the policy"
      kind="worth-history"
      curl={curl(path)}
      sql={status.value ? changesSql(status.value, policy, SHOWN) : undefined}
    >
      {found.error && <ErrorNote error={found.error} retry={found.reload} />}
      {found.slow && <Skeleton />}
      {found.data && rows.length === 0 && (
        <p class="muted">None yet. Every change of its settings will appear here.</p>
      )}
      <ol class="worth-changes" id={HISTORY} tabIndex={-1}>
        {rows.map((change) => (
          <li key={change.id} data-change={change.id}>
            <div>
              <p class="row">
                <span class="badge">{whatOf(change)}</span>
                <span class="muted small">
                  {change.id} · {whoOf(change)} ·{" "}
                  <time dateTime={change.changed_at}>{time(change.changed_at)}</time>
                </span>
              </p>
              <Summary change={change} />
            </div>
            {change.before !== null &&
              (change.operator_only ? (
                <span class="muted small">undone by operators only</span>
              ) : (
                <button type="button" class="button small" onClick={() => setAsked(change)}>
                  Undo <span class="visually-hidden">change {change.id}</span> …
                </button>
              ))}
          </li>
        ))}
      </ol>
      {asked && (
        <Undo
          policy={policy}
          change={asked}
          onClose={() => setAsked(null)}
          onUndone={() => {
            setAsked(null);
            onChanged();
            void refresh();
          }}
        />
      )}
    </Panel>
  );
}

/** What changed, in a line; all settings of a policy that was added are behind a summary. */
function Summary({ change }: { change: RecordedChange }) {
  const changed = differences(change.before, change.after);
  const list = (
    <ul class="worth-settings">
      {changed.map((each) => (
        <li key={each.name}>
          <code>{each.name}</code>{" "}
          {change.before !== null && (
            <>
              <del>{each.before}</del> <span aria-hidden="true">→</span>{" "}
            </>
          )}
          <ins>{each.after}</ins>
        </li>
      ))}
    </ul>
  );
  if (change.before !== null) return list;
  return (
    <details>
      <summary class="muted small">all {changed.length} settings</summary>
      {list}
    </details>
  );
}

interface UndoProps {
  policy: string;
  change: RecordedChange;
  onClose: () => void;
  onUndone: () => void;
}

function Undo({ policy, change, onClose, onUndone }: UndoProps) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const run = async () => {
    setBusy(true);
    try {
      await undo(policy, change.id, !change.undoable);
      toast("Undone: these settings are as before.");
      onUndone();
    } catch (failure) {
      setError(asApiError(failure));
      setBusy(false);
    }
  };
  return (
    <Dialog title={`Undo change ${change.id}?`} onClose={onClose}>
      <div class="stack">
        {!change.undoable && (
          <p class="note warn">
            The policy has changed since. Only the settings of this change are restored; all others stay as
            they are now.
          </p>
        )}
        <Diff changes={differences(change.after, change.before ?? {})} />
        {error && <ErrorNote error={error} />}
        <div class="row">
          <button type="button" class="button primary" disabled={busy} onClick={() => void run()}>
            {change.undoable ? "Restore" : "Restore these"}
          </button>
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
        </div>
      </div>
    </Dialog>
  );
}
