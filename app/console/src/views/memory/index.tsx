/** Memory: every taught prompt on a map and in a list, to look at, to correct and to forget. */
import "./memory.css";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { json } from "../../api/client";
import { useQuery } from "../../api/query";
import { policy, status } from "../../api/shared";
import type { MemoryPage } from "../../api/types";
import { count } from "../../lib/format";
import { curl } from "../../lib/sql";
import { place, setQuery } from "../../location";
import { tenantKey } from "../../session";
import { Panel } from "../../ui/panel";
import { useShortcuts } from "../../ui/shortcuts";
import { ErrorNote, Skeleton } from "../../ui/states";
import { Warmth } from "../../ui/warmth";
import { colouring, type ColourBy } from "./colours";
import { useGraph, type Graph, type Loaded } from "./data";
import { DIMMED, HIDDEN, SHOWN } from "./draw";
import { NoMemory } from "./empty";
import { filtersOfAddress, passes, type Filters } from "./filters";
import { ForgetDialog, useForgetting } from "./forget";
import { Legend } from "./legend";
import { MemoryList, type Row } from "./list";
import { MemoryMap } from "./map";
import { MemoryDialog } from "./memory";
import type { MapScene } from "./scene";
import { listSql, nodesSql } from "./sources";
import { FilterBar, SelectionBar } from "./toolbar";

const GRAPH = "/v1/router/memories/graph";
/** The most memories that a search returns. */
const FOUND = 1000;

export default function MemoryView() {
  const loaded = useGraph();
  const { query, graph } = loaded;
  const opened = Number(place.value.query.get("memory") ?? "");
  return (
    <div class="stack">
      {query.error && <ErrorNote error={query.error} retry={query.reload} />}
      {query.slow && <Skeleton lines={10} />}
      {graph && graph.total <= 0 && <NoMemory />}
      {graph && graph.total > 0 && (
        <Found loaded={loaded} graph={graph} opened={Number.isSafeInteger(opened) ? opened : 0} />
      )}
    </div>
  );
}

/** The memories that the server finds by the text of their prompts; null: there is nothing to search for. */
function useSearch(filters: Filters): readonly Row[] | null | undefined {
  const [search, setSearch] = useState(filters.search);
  useEffect(() => {
    const timer = setTimeout(() => setSearch(filters.search), 120);
    return () => clearTimeout(timer);
  }, [filters.search]);
  const found = useQuery(
    async (signal) => {
      if (search === "") return { search, rows: null };
      const path = `/v1/router/memories?limit=${FOUND}&search=${encodeURIComponent(search)}`;
      return { search, rows: (await json<MemoryPage>(path, { signal })).data };
    },
    [search, tenantKey.value],
  );
  if (filters.search === "") return null;
  return found.data?.search === filters.search ? found.data.rows : undefined;
}

function Found({ loaded, graph, opened }: { loaded: Loaded; graph: Graph; opened: number }) {
  const [filters, setFilters] = useState(filtersOfAddress);
  const [by, setBy] = useState<ColourBy>(place.value.query.get("colour") === "task" ? "task" : "suffices");
  const [selected, setSelected] = useState<ReadonlySet<number>>(new Set());
  const [selecting, setSelecting] = useState(false);
  const [pointed, setPointed] = useState<number | null>(null);
  const map = useRef<MapScene | null>(null);
  const found = useSearch(filters);
  const candidates = policy.value?.models;
  const models = useMemo(
    () => graph.models.filter((model) => candidates?.includes(model) ?? true),
    [graph.models, candidates],
  );
  const state = status.value;

  const filter = (change: Partial<Filters>) => {
    setFilters((before) => ({ ...before, ...change }));
    setQuery(change);
  };
  const open = (id: number) => setQuery({ memory: id });
  const close = () => setQuery({ memory: null });
  const select = (ids: readonly number[], on: boolean) =>
    setSelected((before) => {
      const next = new Set(before);
      for (const id of ids) {
        if (on) next.add(id);
        else next.delete(id);
      }
      return next;
    });
  const forgetting = useForgetting(loaded, (ids) => {
    select(ids, false);
    if (ids.includes(opened)) close();
  });

  const numbers = useMemo(() => new Map(graph.nodes.map((node, i) => [node.id, i])), [graph.nodes]);
  const rows = useMemo<readonly Row[]>(() => {
    // Until the server has searched the whole prompts, their beginnings are searched here.
    const sought = filters.search.toLowerCase();
    const from =
      found ?? graph.nodes.filter((node) => sought === "" || node.prompt?.toLowerCase().includes(sought));
    return from
      .map((row) => graph.nodes[numbers.get(row.id) ?? -1] ?? row)
      .filter((row) => !graph.hidden.has(row.id) && passes(row, filters, models));
  }, [graph, numbers, found, filters, models]);
  const mask = useMemo(() => {
    const made = new Uint8Array(graph.nodes.length).fill(DIMMED);
    for (const row of rows) {
      const i = numbers.get(row.id);
      if (i !== undefined) made[i] = SHOWN;
    }
    for (const id of graph.hidden) made[numbers.get(id) ?? -1] = HIDDEN;
    return made;
  }, [rows, numbers, graph.hidden]);
  const { colours, legend } = useMemo(
    () => colouring(graph.nodes, by, models, graph.hidden),
    [graph.nodes, by, models, graph.hidden],
  );
  const marked = useMemo(
    () => new Set([...selected].map((id) => numbers.get(id) ?? -1).filter((i) => i >= 0)),
    [selected, numbers],
  );
  const colourBy = (next: ColourBy) => {
    setBy(next);
    setQuery({ colour: next === "task" ? next : null });
  };
  const forgetSelected = () => forgetting.forget([...selected]);

  useShortcuts([
    { key: "/", what: "To the search", run: () => document.getElementById("memory-search")?.focus() },
    { key: "+", what: "Zoom in", run: () => map.current?.zoom(1.4) },
    { key: "-", shown: "−", what: "Zoom out", run: () => map.current?.zoom(1 / 1.4) },
    { key: "0", what: "Show the whole map", run: () => map.current?.fit() },
    {
      key: "c",
      what: "Colour by the other property",
      run: () => colourBy(by === "task" ? "suffices" : "task"),
    },
    { key: "s", what: "Select by drawing around memories, or stop", run: () => setSelecting(!selecting) },
    {
      key: "Delete",
      what: "Forget the selected memories",
      when: () => selected.size > 0,
      run: forgetSelected,
    },
    {
      key: "Escape",
      what: "Clear the selection",
      when: () => selected.size > 0 || selecting,
      run: () => {
        setSelected(new Set());
        setSelecting(false);
      },
    },
  ]);

  return (
    <>
      {policy.value && !policy.value.ready && (
        <section class="panel" aria-label="Warmth">
          <Warmth policy={policy.value} />
        </section>
      )}
      <FilterBar graph={graph} filters={filters} models={models} onFilter={filter} />
      <SelectionBar count={selected.size} onForget={forgetSelected} onClear={() => setSelected(new Set())} />
      <div class="memory-columns">
        <Panel
          title="Map"
          kind="memory-map"
          sql={state ? nodesSql(state) : undefined}
          curl={curl(GRAPH)}
          actions={<MapButtons map={map} selecting={selecting} onSelecting={setSelecting} />}
        >
          <MemoryMap
            graph={graph}
            colours={colours}
            mask={mask}
            selected={marked}
            pointed={pointed === null ? -1 : (numbers.get(pointed) ?? -1)}
            selecting={selecting}
            map={map}
            open={(i) => open(graph.nodes[i]?.id ?? 0)}
            select={(nodes, toggle) => {
              const ids = nodes.map((i) => graph.nodes[i]?.id ?? 0);
              select(ids, !(toggle && ids.every((id) => selected.has(id))));
            }}
          />
          {loaded.edgeError && <ErrorNote error={loaded.edgeError} retry={loaded.retryEdges} />}
          <Legend
            by={by}
            entries={legend}
            chosen={filters[by]}
            onBy={colourBy}
            onChoose={(value) => filter({ [by]: value })}
          />
        </Panel>
        <Panel
          title={
            graph.sampled && filters.search === ""
              ? `${count(graph.nodes.length, "memory", "memories")} of ${graph.total.toLocaleString("en")}`
              : count(rows.length, "memory", "memories")
          }
          kind="memory-list"
          sql={state ? listSql(state, filters, models, FOUND) : undefined}
          curl={curl(
            filters.search === ""
              ? GRAPH
              : `/v1/router/memories?limit=${FOUND}&search=${encodeURIComponent(filters.search)}`,
          )}
        >
          {graph.sampled && (
            <p class="muted memory-note">
              The map shows a sample, which is always the same. The search looks at all memories
              {found?.length === FOUND ? " and shows the first 1,000" : ""}.
            </p>
          )}
          <MemoryList
            key={JSON.stringify(filters)}
            rows={rows}
            models={models}
            selected={selected}
            onSelect={select}
            onOpen={open}
            onPoint={setPointed}
          />
        </Panel>
      </div>
      {opened > 0 && (
        <MemoryDialog
          key={opened}
          id={opened}
          loaded={loaded}
          models={models}
          onOpen={open}
          onForget={(id) => forgetting.forget([id])}
          onClose={close}
        />
      )}
      <ForgetDialog {...forgetting} />
    </>
  );
}

interface ButtonsProps {
  map: { current: MapScene | null };
  selecting: boolean;
  onSelecting: (on: boolean) => void;
}

function MapButtons({ map, selecting, onSelecting }: ButtonsProps) {
  return (
    <div class="row map-buttons" role="group" aria-label="Map">
      <button
        type="button"
        class="chip"
        aria-pressed={selecting}
        title="Draw around memories to select them; or hold Shift"
        onClick={() => onSelecting(!selecting)}
      >
        Select
      </button>
      <button type="button" class="chip" aria-label="Zoom in" onClick={() => map.current?.zoom(1.4)}>
        +
      </button>
      <button type="button" class="chip" aria-label="Zoom out" onClick={() => map.current?.zoom(1 / 1.4)}>
        −
      </button>
      <button type="button" class="chip" aria-label="Fit the whole map" onClick={() => map.current?.fit()}>
        Fit
      </button>
    </div>
  );
}
