/** The memory as a file: import with progress and the errors by line, and export. */
import { useRef, useState } from "preact/hooks";
import { ApiError, call } from "../../api/client";
import { refresh, status } from "../../api/shared";
import { count, percent } from "../../lib/format";
import { values } from "../../lib/ndjson";
import { curl, tenantId } from "../../lib/sql";
import { Panel } from "../../ui/panel";
import { ErrorNote } from "../../ui/states";
import { announce } from "../../ui/toasts";

interface Progress {
  phase: string;
  done: number;
  of: number;
}

interface BadLine {
  error: { message: string };
  line: number | null;
}

interface Result {
  lines: number;
  taught: number;
  created: number;
  overwritten: number;
  copies?: number;
  evicted?: number;
  failed: number;
  format?: string | null;
  labels?: Record<string, { labels: number; mean: number }>;
  left_out?: Record<string, number>;
}

interface Outcome {
  dryRun: boolean;
  errors: BadLine[];
  result: Result | null;
}

export function Files() {
  const [file, setFile] = useState<File | null>(null);
  const [over, setOver] = useState(false);
  const [progress, setProgress] = useState<Progress | null>(null);
  const [outcome, setOutcome] = useState<Outcome | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const running = useRef<AbortController | null>(null);
  const tenant = status.value?.tenant;

  const pick = (chosen: File | null | undefined) => {
    if (!chosen) return;
    setFile(chosen);
    setOutcome(null);
    setError(null);
  };
  const send = async (dryRun: boolean) => {
    if (!file) return;
    const abort = (running.current = new AbortController());
    setProgress({ phase: "sending", done: 0, of: 0 });
    setOutcome(null);
    setError(null);
    const found: Outcome = { dryRun, errors: [], result: null };
    try {
      const query = new URLSearchParams({ name: file.name, dry_run: String(dryRun) });
      const response = await call(`/v1/router/memories/import?${query}`, {
        body: file,
        headers: { "content-type": "application/octet-stream" },
        signal: abort.signal,
      });
      for await (const value of values(response)) {
        const line = value as Progress | BadLine | Result;
        if ("phase" in line) setProgress(line);
        else if ("error" in line) found.errors.push(line);
        else found.result = line;
      }
      if (found.result === null) throw new ApiError("The connection broke off; nothing was taught.", 0);
      setOutcome(found);
      announce(said(found));
      if (found.result.taught > 0) void refresh();
    } catch (caught) {
      if (!abort.signal.aborted)
        setError(caught instanceof ApiError ? caught : new ApiError(String(caught), 0));
    } finally {
      setProgress(null);
    }
  };
  const [saving, setSaving] = useState(false);
  const save = async () => {
    setSaving(true);
    setError(null);
    try {
      const response = await call("/v1/router/memories/export");
      const link = document.createElement("a");
      link.href = URL.createObjectURL(await response.blob());
      link.download = `${tenant ?? "memory"}.jsonl`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    } catch (caught) {
      setError(caught instanceof ApiError ? caught : new ApiError(String(caught), 0));
    } finally {
      setSaving(false);
    }
  };

  return (
    <Panel
      title="Files"
      kind="files"
      sql={tenant === undefined ? undefined : `select * from router.export(${tenantId(tenant)});`}
      curl={curl("/v1/router/memories/export")}
    >
      <div class="stack">
        <div
          class={`drop ${over ? "over" : ""}`}
          onDragOver={(event) => {
            event.preventDefault();
            setOver(true);
          }}
          onDragLeave={() => setOver(false)}
          onDrop={(event) => {
            event.preventDefault();
            setOver(false);
            pick(event.dataTransfer?.files[0]);
          }}
        >
          <label for="examples">Import examples you have</label>
          <input id="examples" type="file" onChange={(event) => pick(event.currentTarget.files?.[0])} />
          <p class="muted">
            JSONL, CSV, or the export of a tool for evaluations; the format is recognised. All of a file is
            taught, or nothing.
          </p>
        </div>
        {file && progress === null && (
          <div class="row picked">
            <button type="button" class="button small" onClick={() => void send(true)}>
              Check {file.name}
            </button>
            <button type="button" class="button small primary" onClick={() => void send(false)}>
              Import it
            </button>
          </div>
        )}
        {progress && (
          <div>
            <div
              class="file-progress"
              role="progressbar"
              aria-label="Import"
              aria-valuemin={0}
              aria-valuemax={100}
              aria-valuenow={Math.round(shareOf(progress) * 100)}
            >
              <span style={{ transform: `scaleX(${shareOf(progress)})` }} />
            </div>
            <p class="row">
              <span class="muted">
                {progress.phase} {percent(shareOf(progress))}
              </span>
              <button type="button" class="button small push" onClick={() => running.current?.abort()}>
                Cancel
              </button>
            </p>
          </div>
        )}
        {error && <ErrorNote error={error} />}
        {outcome && <Said outcome={outcome} />}
        <div class="row">
          <button type="button" class="button small" disabled={saving} onClick={() => void save()}>
            {saving ? "Exporting …" : "Export the memory"}
          </button>
          <span class="muted">{count(status.value?.memories ?? 0, "memory", "memories")}, as JSONL</span>
        </div>
      </div>
    </Panel>
  );
}

function shareOf({ done, of }: Progress): number {
  return of > 0 ? Math.min(1, done / of) : 0;
}

function said({ dryRun, errors, result }: Outcome): string {
  if (!result) return "";
  if (result.failed > 0)
    return `${count(result.failed, "error")}; nothing was taught.${errors.length < result.failed ? ` The first ${errors.length}:` : ""}`;
  const copies = result.copies
    ? ` ${count(result.copies, "copy", "copies")} of a prompt in the file: the last counts.`
    : "";
  if (dryRun) return `${count(result.lines, "example")} would be taught. Nothing was written.${copies}`;
  const evicted = result.evicted
    ? ` ${count(result.evicted, "older memory was", "older memories were")} evicted.`
    : "";
  return `Taught ${count(result.taught, "example")}: ${result.created} new, ${result.overwritten} replaced.${copies}${evicted}`;
}

function Said({ outcome }: { outcome: Outcome }) {
  const { errors, result } = outcome;
  if (!result) return null;
  const bad = result.failed > 0;
  return (
    <div class="stack outcome" role="status">
      <p class={`note ${bad ? "bad" : "good"}`}>{said(outcome)}</p>
      {errors.length > 0 && (
        <ul class="file-errors" tabIndex={0} aria-label="Errors of the file">
          {errors.map(({ error, line }, i) => (
            <li key={i}>
              <strong class="line">{line === null ? "file" : `line ${line}`}</strong>
              <span>{withoutPlace(error.message)}</span>
            </li>
          ))}
        </ul>
      )}
      {!bad && result.labels && (
        <ul class="muted">
          {Object.entries(result.labels).map(([model, { labels, mean }]) => (
            <li key={model}>
              <code>{model}</code>: {count(labels, "score")}, mean {mean.toFixed(2)}
            </li>
          ))}
          {Object.entries(result.left_out ?? {}).map(([reason, records]) => (
            <li key={reason}>
              {count(records, "record")} without a score: {reason}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

/** The message without the name of the file and the line, which are beside it. */
function withoutPlace(message: string): string {
  return message.replace(/^.{1,200}? line \d+[^:]*: /, "");
}
