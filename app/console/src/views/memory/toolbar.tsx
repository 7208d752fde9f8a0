/** Search and filters, the colours of the map, and what to do with the selection. */
import type { Graph } from "./data";
import { counted, NONE, type Filters } from "./filters";

interface FilterProps {
  graph: Graph;
  filters: Filters;
  /** The candidates, cheapest first. */
  models: readonly string[];
  onFilter: (change: Partial<Filters>) => void;
}

export function FilterBar({ graph, filters, models, onFilter }: FilterProps) {
  const tasks = counted(graph.nodes.map((node) => node.task)).map(([value]) => value);
  const sources = counted(graph.nodes.map((node) => node.source)).map(([value]) => value);
  const any = Object.values(filters).some((value) => value !== "");
  return (
    <div class="row memory-filters" role="search">
      <input
        id="memory-search"
        type="search"
        aria-label="Search the prompts"
        placeholder="Search the prompts"
        value={filters.search}
        onInput={(event) => onFilter({ search: event.currentTarget.value })}
      />
      <Choice
        label="task"
        value={filters.task}
        options={tasks.map((value) => [value, value === NONE ? "no task" : value])}
        onChange={(task) => onFilter({ task })}
      />
      <Choice
        label="source"
        value={filters.source}
        options={sources.map((value) => [value, value])}
        onChange={(source) => onFilter({ source })}
      />
      <Choice
        label="model that suffices"
        value={filters.suffices}
        options={[
          ...models.map((value): [string, string] => [value, `${value} suffices`]),
          [NONE, "no model suffices"],
        ]}
        onChange={(suffices) => onFilter({ suffices })}
      />
      {any && (
        <button
          type="button"
          class="button quiet small"
          onClick={() => onFilter({ search: "", task: "", source: "", suffices: "" })}
        >
          Show all
        </button>
      )}
    </div>
  );
}

interface ChoiceProps {
  label: string;
  value: string;
  options: readonly [string, string][];
  onChange: (value: string) => void;
}

function Choice({ label, value, options, onChange }: ChoiceProps) {
  return (
    <select aria-label={label} value={value} onChange={(event) => onChange(event.currentTarget.value)}>
      <option value="">any {label}</option>
      {options.map(([each, text]) => (
        <option key={each} value={each}>
          {text}
        </option>
      ))}
    </select>
  );
}

interface SelectionProps {
  count: number;
  onForget: () => void;
  onClear: () => void;
}

export function SelectionBar({ count, onForget, onClear }: SelectionProps) {
  if (count === 0) return null;
  return (
    <div class="row note memory-selection" role="group" aria-label="Selection">
      <strong>{count.toLocaleString("en")} selected</strong>
      <span class="row">
        <button type="button" class="button danger small" onClick={onForget}>
          Forget {count.toLocaleString("en")}
        </button>
        <button type="button" class="button quiet small" onClick={onClear}>
          Clear
        </button>
      </span>
    </div>
  );
}
