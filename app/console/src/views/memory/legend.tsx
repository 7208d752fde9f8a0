/** What the colours mean; each is a button that shows its memories alone. */
import type { ColourBy, LegendEntry } from "./colours";

interface Props {
  by: ColourBy;
  entries: readonly LegendEntry[];
  /** The value of the filter. */
  chosen: string;
  onBy: (by: ColourBy) => void;
  onChoose: (value: string) => void;
}

const TITLES: Record<ColourBy, string> = { suffices: "model that suffices", task: "task" };
/** Further tasks are in the filter. */
const SHOWN = 9;

export function Legend({ by, entries, chosen, onBy, onChoose }: Props) {
  return (
    <div class="memory-legend">
      <div class="row" role="group" aria-label="Colours">
        <span class="muted">Colour by</span>
        {(Object.keys(TITLES) as ColourBy[]).map((each) => (
          <button key={each} type="button" class="chip" aria-pressed={each === by} onClick={() => onBy(each)}>
            {TITLES[each]}
          </button>
        ))}
      </div>
      <ul class="row">
        {entries.slice(0, SHOWN).map((entry) => (
          <li key={entry.value}>
            <button
              type="button"
              class={`legend-entry colour-${entry.colour}`}
              aria-pressed={chosen === entry.value}
              onClick={() => onChoose(chosen === entry.value ? "" : entry.value)}
            >
              <span class="dot" aria-hidden="true" />
              {entry.label} <span class="muted">{entry.count.toLocaleString("en")}</span>
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}
