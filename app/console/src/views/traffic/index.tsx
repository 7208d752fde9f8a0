/** Traffic: decisions as they happen, why requests were not routed, and what they cost by day. */
import "./traffic.css";
import { useState } from "preact/hooks";
import { place, setQuery } from "../../location";
import { DecisionDialog } from "./decision";
import { Declines } from "./declines";
import { Decisions } from "./decisions";
import { Spend } from "./spend";

const SPANS = [
  ["1h", "last hour"],
  ["24h", "last 24 hours"],
  ["7d", "last 7 days"],
  ["30d", "last 30 days"],
] as const;

export default function TrafficView() {
  const query = place.value.query;
  const [since, setSince] = useState(query.get("since") ?? "24h");
  const opened = query.get("decision");
  return (
    <div class="stack">
      <div class="row" role="group" aria-label="Period">
        {SPANS.map(([span, title]) => (
          <button
            key={span}
            type="button"
            class="chip"
            aria-pressed={span === since}
            onClick={() => {
              setSince(span);
              setQuery({ since: span });
            }}
          >
            {title}
          </button>
        ))}
      </div>
      <div class="columns">
        <Declines since={since} />
        <Spend />
      </div>
      <Decisions since={since} />
      {opened !== null && <DecisionDialog id={opened} onClose={() => setQuery({ decision: null })} />}
    </div>
  );
}
