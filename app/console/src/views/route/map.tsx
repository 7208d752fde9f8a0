/** The neighbours around the prompt: near is similar, large is heavy, and the colour is the cheapest good model. */
import type { Neighbour } from "../../api/types";
import { colourOf } from "../../lib/models";
import { radial } from "../../lib/radial";
import { sufficient } from "../../lib/sufficient";

interface Props {
  neighbours: readonly Neighbour[];
  /** The candidates, cheapest first. */
  cheapestFirst: readonly string[];
  chosen: number | null;
  onChoose: (memoryId: number | null) => void;
}

export function NeighbourMap({ neighbours, cheapestFirst, chosen, onChoose }: Props) {
  const points = radial(neighbours.map((each) => each.similarity));
  const heaviest = Math.max(1e-9, ...neighbours.map((each) => each.weight));
  return (
    <svg
      class="map"
      viewBox="-115 -115 230 230"
      role="img"
      aria-label="The neighbours around the prompt; the list has the same."
    >
      {[0.33, 0.66, 1].map((r) => (
        <circle key={r} class="ring" r={100 * r} />
      ))}
      {neighbours.map((each, i) => {
        const point = points[i];
        if (point === undefined) return null;
        const model = sufficient(each, cheapestFirst);
        return (
          <circle
            key={each.memory_id}
            class={`neighbour ${model === null ? "none" : `colour-${colourOf(model)}`} ${chosen === each.memory_id ? "chosen" : ""}`}
            cx={100 * point.x}
            cy={100 * point.y}
            r={2.5 + 6 * Math.sqrt(each.weight / heaviest)}
            onPointerEnter={() => onChoose(each.memory_id)}
            onPointerLeave={() => onChoose(null)}
          />
        );
      })}
      <circle class="prompt" r="5" />
    </svg>
  );
}
