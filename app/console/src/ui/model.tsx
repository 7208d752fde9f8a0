/** A model's name beside its colour. */
import { colourOf } from "../lib/models";

export function ModelName({ name }: { name: string }) {
  return (
    <span class={`model colour-${colourOf(name)}`}>
      <span class="dot" aria-hidden="true" />
      {name}
    </span>
  );
}
