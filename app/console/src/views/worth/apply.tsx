/** The dialog that shows a change of settings before it is made. */
import { useEffect, useRef, useState } from "preact/hooks";
import { json, type ApiError } from "../../api/client";
import type { Calibration, RecordedChange, UndoneChange } from "../../api/types";
import { percent } from "../../lib/format";
import { differences } from "../../lib/worth";
import { Dialog } from "../../ui/dialog";
import { ModelName } from "../../ui/model";
import { ErrorNote, Skeleton } from "../../ui/states";
import { toast } from "../../ui/toasts";
import { Diff } from "./diff";
import { asApiError, calibrate, type Goal, type Wanted } from "./measure";

interface Props {
  wanted: Wanted;
  /** What would be set; null: not measured yet. */
  planned: Calibration | null;
  onClose: () => void;
  onApplied: () => void;
  /** After an undo by the message. */
  onChanged: () => void;
}

export function Apply({ wanted, planned, onClose, onApplied, onChanged }: Props) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const abort = useRef(new AbortController());
  useEffect(() => () => abort.current.abort(), []);
  const same = planned !== null && differences(planned.before, planned.after).length === 0;

  const apply = async () => {
    setBusy(true);
    setError(null);
    try {
      const done = await calibrate(wanted, false, abort.current.signal);
      const changed = differences(done.before, done.after);
      if (changed.length === 0) toast(`Policy ${wanted.policy} is set so already.`);
      else
        toast(`Policy ${wanted.policy} now ${kept(wanted)}.`, {
          label: "Undo",
          run: () => void undoNewest(wanted.policy).then(onChanged),
        });
      onApplied();
    } catch (failure) {
      if (abort.current.signal.aborted) return;
      setError(asApiError(failure));
      setBusy(false);
    }
  };

  return (
    <Dialog title={`Change policy ${wanted.policy}?`} onClose={onClose}>
      <div class="stack">
        {planned === null && <Skeleton lines={4} />}
        {planned !== null && (
          <>
            {same ? (
              <p>The policy is set so already: nothing would change.</p>
            ) : (
              <Diff changes={differences(planned.before, planned.after)} />
            )}
            {planned.at_most !== null && (
              <p>
                Certified: at most {percent(planned.at_most, 1)} of answers worse than {planned.default_model}
                's with {percent(planned.confidence)} confidence, measured {percent(planned.worse_share, 1)}{" "}
                on {planned.rows} memories that chose no setting.
              </p>
            )}
            <p>
              Expected: {percent(planned.quality_ratio, 1)} of {planned.default_model}'s quality (at least{" "}
              {percent(planned.quality_ratio_low, 1)} with {percent(planned.confidence)} confidence) at{" "}
              {percent(planned.cost_ratio)} of its cost, from {planned.rows} of {planned.memories} memories.
            </p>
            <ul class="row" aria-label="Expected shares of requests">
              {Object.entries(planned.shares).map(([model, share]) => (
                <li key={model}>
                  <ModelName name={model} /> {percent(share)}
                </li>
              ))}
            </ul>
            <p class="muted small">
              It is measured once more and set at once, for all requests of this policy. The settings before
              are kept below, with Undo.
            </p>
          </>
        )}
        {error && <ErrorNote error={error} />}
        <div class="row">
          <button
            type="button"
            class="button primary"
            disabled={planned === null || same || busy}
            onClick={() => void apply()}
          >
            {busy ? "Applying …" : "Apply"}
          </button>
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
        </div>
      </div>
    </Dialog>
  );
}

function kept(goal: Goal): string {
  return "target" in goal
    ? `keeps ${percent(goal.target, 1)}`
    : `is certified: at most ${percent(goal.at_most, 1)} worse`;
}

/** Undo a change of a policy. */
export async function undo(policy: string, id: number, force: boolean): Promise<UndoneChange> {
  return json<UndoneChange>(`/v1/router/policies/${encodeURIComponent(policy)}/changes/${id}/undo`, {
    json: { force },
  });
}

async function undoNewest(policy: string): Promise<void> {
  try {
    const path = `/v1/router/policies/${encodeURIComponent(policy)}/changes?limit=1`;
    const newest = (await json<{ data: RecordedChange[] }>(path)).data[0];
    if (newest === undefined) return;
    await undo(policy, newest.id, false);
    toast("Undone: the settings are as before.");
  } catch (failure) {
    toast(asApiError(failure).message);
  }
}
