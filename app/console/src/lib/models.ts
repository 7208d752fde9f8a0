/** The colour of a model: its place among the tenant's models in alphabetical order of the candidates' list. */
import { models, policy } from "../api/shared";

/** The number of the model's colour, 0 to 7; candidates of the policy come first. */
export function colourOf(name: string): number {
  const known = [...(policy.value?.models ?? []), ...models.value.map((model) => model.id)];
  const at = known.indexOf(name);
  return at < 0 ? 7 : at % 8;
}
