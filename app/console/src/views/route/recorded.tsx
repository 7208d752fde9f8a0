/** The demo's recorded answers of all candidates to a sample, the routed one ringed. */
import type { SamplePrompt } from "../../api/types";
import { decimal } from "../../lib/format";
import { curl } from "../../lib/sql";
import { ModelName } from "../../ui/model";
import { Panel } from "../../ui/panel";

export function Recorded({ sample, routed }: { sample: SamplePrompt; routed: string | undefined }) {
  return (
    <Panel title="What each model answers" curl={curl("/v1/router/samples")}>
      <p class="muted">
        These answers and scores were written for the demo; the models are fictional. The prompt was never
        taught.
      </p>
      <ul class="columns recorded">
        {sample.answers.map((each) => (
          <li key={each.model} class={each.model === routed ? "routed" : ""}>
            <p class="row">
              <ModelName name={each.model} />
              {each.model === routed && <span class="badge">routed here</span>}
              <span class="push muted">score {decimal(each.score, 2)}</span>
            </p>
            <p class="prompt-text" tabIndex={0}>
              {each.text}
            </p>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
