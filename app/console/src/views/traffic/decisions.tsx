/** The list of decisions: the newest first, new ones as they are recorded. */
import { useEffect, useState } from "preact/hooks";
import { ApiError, json, stream } from "../../api/client";
import { useQuery } from "../../api/query";
import { models, status } from "../../api/shared";
import type { DecisionPage, ListedDecision } from "../../api/types";
import { duration, percent, usd } from "../../lib/format";
import { declined } from "../../lib/gates";
import { merged } from "../../lib/live";
import { REASONS } from "../../lib/reasons";
import { curl, literal, tenantId } from "../../lib/sql";
import { addressOf, place, setQuery } from "../../location";
import { tenantKey } from "../../session";
import { ModelName } from "../../ui/model";
import { Panel } from "../../ui/panel";
import { Empty, ErrorNote, Skeleton } from "../../ui/states";

/** The most decisions in the list, and how many a page has. */
const KEPT = 500;
const PAGE = 50;
const FILTERS = ["reason", "model", "task", "policy", "key"] as const;
type Filters = Partial<Record<(typeof FILTERS)[number], string>>;

function filtersOfAddress(): Filters {
  const found: Filters = {};
  for (const name of FILTERS) {
    const value = place.value.query.get(name);
    if (value !== null) found[name] = value;
  }
  return found;
}

function sqlOf(filters: Filters, since: string, tenant: string): string {
  const given = [
    filters.reason !== undefined && `p_reasons => array[${literal(filters.reason)}]`,
    filters.model !== undefined && `p_model => ${literal(filters.model)}`,
    filters.task !== undefined && `p_task => ${literal(filters.task)}`,
    filters.policy !== undefined && `p_policy => ${literal(filters.policy)}`,
    filters.key !== undefined && `p_key => ${Number(filters.key)}`,
    `p_since => now() - interval ${literal(since)}`,
  ].filter((each) => each !== false);
  return `select * from router.list_decisions(\n  ${tenantId(tenant)}, ${PAGE},\n  ${given.join(", ")}\n);`;
}

export function Decisions({ since }: { since: string }) {
  const [filters, setFilters] = useState<Filters>(filtersOfAddress);
  const [arrived, setArrived] = useState<ListedDecision[]>([]);
  const [older, setOlder] = useState<ListedDecision[]>([]);
  const [more, setMore] = useState<boolean | null>(null);
  const [live, setLive] = useState(true);
  const search = new URLSearchParams(filters).toString();
  const path = `/v1/router/decisions?limit=${PAGE}&since=${since}${search === "" ? "" : `&${search}`}`;
  const inputs = [path, tenantKey.value];
  const page = useQuery((signal) => json<DecisionPage>(path, { signal }), inputs);
  const connected = useStream(search, live, (decision) =>
    setArrived((known) => merged(known, [decision], KEPT)),
  );

  // A list of other decisions begins anew.
  useEffect(() => {
    setArrived([]);
    setOlder([]);
    setMore(null);
  }, inputs);

  const rows = merged([...(page.data?.data ?? []), ...older], arrived, KEPT + older.length);
  const filter = (name: keyof Filters, value: string) => {
    const next = { ...filters };
    if (value === "") Reflect.deleteProperty(next, name);
    else next[name] = value;
    setFilters(next);
    setQuery({ [name]: value });
  };
  const loadMore = async () => {
    const last = rows[rows.length - 1];
    if (!last) return;
    const next = await json<DecisionPage>(`${path}&before=${last.id}`);
    setOlder((known) => [...known, ...next.data]);
    setMore(next.has_more);
  };

  return (
    <Panel
      title="Decisions"
      kind="decisions"
      sql={status.value ? sqlOf(filters, since, status.value.tenant) : undefined}
      curl={curl(path)}
      actions={
        <button type="button" class="chip live" aria-pressed={live} onClick={() => setLive(!live)}>
          <span class={`pulse ${live && connected ? "on" : ""}`} aria-hidden="true" />
          {live ? (connected ? "live" : "connecting …") : "paused"}
        </button>
      }
    >
      <div class="row filters" role="group" aria-label="Filters">
        <Choice name="reason" value={filters.reason} options={REASONS} onChange={filter} />
        <Choice
          name="model"
          value={filters.model}
          options={models.value.map((each) => each.id)}
          onChange={filter}
        />
        <Choice
          name="policy"
          value={filters.policy}
          options={(status.value?.policies ?? []).map((each) => each.policy)}
          onChange={filter}
        />
        <input
          aria-label="task"
          placeholder="any task"
          value={filters.task ?? ""}
          onChange={(event) => filter("task", event.currentTarget.value.trim())}
        />
        <input
          aria-label="number of the key"
          placeholder="any key"
          inputMode="numeric"
          value={filters.key ?? ""}
          onChange={(event) => filter("key", event.currentTarget.value.trim())}
        />
      </div>
      {page.error && <ErrorNote error={page.error} retry={page.reload} />}
      {page.slow && <Skeleton lines={6} />}
      {page.data && rows.length === 0 && (
        <Empty title={search === "" ? "No request yet" : "No decision matches"}>
          <p>
            {search === ""
              ? "Send one from the Route view, or from your application: it appears here within a second or two."
              : "Take a filter away, or choose a longer period."}
          </p>
        </Empty>
      )}
      {rows.length > 0 && <Rows rows={rows} fresh={new Set(arrived.map((each) => each.id))} />}
      {rows.length > 0 && (more ?? page.data?.has_more ?? false) && (
        <button type="button" class="button small more" onClick={() => void loadMore()}>
          Older decisions
        </button>
      )}
    </Panel>
  );
}

interface ChoiceProps {
  name: keyof Filters;
  value: string | undefined;
  options: readonly string[];
  onChange: (name: keyof Filters, value: string) => void;
}

function Choice({ name, value, options, onChange }: ChoiceProps) {
  return (
    <select
      aria-label={name}
      value={value ?? ""}
      onChange={(event) => onChange(name, event.currentTarget.value)}
    >
      <option value="">any {name}</option>
      {options.map((each) => (
        <option key={each}>{each}</option>
      ))}
    </select>
  );
}

function Rows({ rows, fresh }: { rows: readonly ListedDecision[]; fresh: ReadonlySet<string> }) {
  return (
    <div class="scroll-x" tabIndex={0} role="region" aria-label="Decisions">
      <table class="decision-rows">
        <thead>
          <tr>
            <th scope="col">time</th>
            <th scope="col">requested → served</th>
            <th scope="col">reason</th>
            <th scope="col" class="number">
              confidence
            </th>
            <th scope="col" class="number">
              tokens
            </th>
            <th scope="col" class="number">
              cost
            </th>
            <th scope="col" class="number">
              duration
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((each) => (
            <tr key={each.id} class={fresh.has(each.id) ? "fresh" : ""}>
              <td>
                <a
                  href={addressOf("traffic", { decision: each.id })}
                  onClick={(event) => {
                    event.preventDefault();
                    setQuery({ decision: each.id });
                  }}
                >
                  {new Date(each.decided_at).toLocaleTimeString("en", { hour12: false })}
                </a>
              </td>
              <td>
                <code>{each.requested}</code> → <ModelName name={each.model} />
                {each.task !== null && <span class="badge">{each.task}</span>}
              </td>
              <td>
                <span class={`badge ${declined(each.reason) ? "warn" : ""}`}>{each.reason}</span>
                {each.status >= 400 && <span class="badge bad">{each.status}</span>}
              </td>
              <td class="number">{percent(each.confidence)}</td>
              <td class="number">
                {each.prompt_tokens ?? "–"} + {each.completion_tokens ?? "–"}
              </td>
              <td class="number">{usd(each.spent_usd)}</td>
              <td class="number">{duration(each.duration_ms)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Call `add` with each decision as it is recorded; returns whether the stream is connected. It connects again. */
function useStream(search: string, on: boolean, add: (decision: ListedDecision) => void): boolean {
  const [connected, setConnected] = useState(false);
  useEffect(() => {
    if (!on) return;
    const abort = new AbortController();
    const ended = () => abort.signal.aborted;
    const follow = async () => {
      while (!ended()) {
        try {
          for await (const event of stream(`/v1/router/decisions/stream?${search}`, {
            signal: abort.signal,
            onOpen: () => setConnected(true),
          })) {
            if (event.event === "decision") add(JSON.parse(event.data) as ListedDecision);
          }
        } catch (error) {
          if (ended()) return;
          if (error instanceof ApiError && error.status >= 400 && error.status < 500) return;
        }
        setConnected(false);
        await new Promise((resolve) => setTimeout(resolve, 2000));
      }
    };
    void follow();
    return () => {
      abort.abort();
      setConnected(false);
    };
  }, [search, on, tenantKey.value]);
  return connected;
}
