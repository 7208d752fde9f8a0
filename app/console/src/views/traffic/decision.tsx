/** One decision of the ledger: the walk with the numbers of then. */
import { json } from "../../api/client";
import { useQuery } from "../../api/query";
import { status } from "../../api/shared";
import type { Decision } from "../../api/types";
import { Estimates, EstimatesLegend } from "../../decision/estimates";
import { Gates } from "../../decision/gates";
import { Scores } from "../../decision/scores";
import { duration, time, usd } from "../../lib/format";
import { curl, literal, tenantId } from "../../lib/sql";
import { Dialog } from "../../ui/dialog";
import { ModelName } from "../../ui/model";
import { Sources } from "../../ui/panel";
import { ErrorNote, Skeleton } from "../../ui/states";

export function DecisionDialog({ id, onClose }: { id: string; onClose: () => void }) {
  const path = `/v1/router/decisions/${encodeURIComponent(id)}`;
  const found = useQuery((signal) => json<Decision>(path, { signal }), [path]);
  const tenant = status.value?.tenant;
  return (
    <Dialog title="Decision" onClose={onClose}>
      {found.error && <ErrorNote error={found.error} retry={found.reload} />}
      {found.slow && <Skeleton lines={6} />}
      {found.data && <Walk decision={found.data} />}
      <p class="row sources">
        <Sources
          about="Decision"
          curl={curl(path)}
          sql={
            tenant === undefined
              ? undefined
              : `select * from router.decision(${tenantId(tenant)}, ${literal(id)});`
          }
        />
      </p>
    </Dialog>
  );
}

function Walk({ decision }: { decision: Decision }) {
  const ranked = decision.candidates.some((each) => each.quality !== null);
  return (
    <div class="stack">
      <p class="row">
        <code>{decision.requested}</code> → <ModelName name={decision.model} />
        <span class="badge">{decision.reason}</span>
        <span class="muted push">{time(decision.decided_at)}</span>
      </p>
      {decision.why !== null && <p>{decision.why}.</p>}
      <section>
        <h3>Is it safe to route?</h3>
        <Gates reason={decision.reason} why={decision.why} />
      </section>
      {ranked && (
        <>
          <section>
            <h3>How good would each answer be?</h3>
            <Estimates candidates={decision.candidates} />
            <EstimatesLegend />
          </section>
          <section>
            <h3>What is it worth at its cost?</h3>
            <Scores candidates={decision.candidates} alpha={decision.alpha} unit={decision.unit_usd} />
          </section>
        </>
      )}
      <section>
        <h3>What happened</h3>
        <Attempts decision={decision} />
        <dl class="facts-list">
          <Fact name="status" value={String(decision.status ?? "–")} />
          <Fact
            name="prompt tokens"
            value={`${decision.prompt_tokens ?? "–"} (estimated ${decision.estimated_tokens ?? "–"})`}
          />
          <Fact name="completion tokens" value={String(decision.completion_tokens ?? "–")} />
          <Fact
            name="cost"
            value={`${usd(decision.spent_usd)} (default model ${usd(decision.default_usd)})`}
          />
          <Fact name="time in the router" value={duration(decision.overhead_ms)} />
          <Fact name="first token" value={duration(decision.first_token_ms)} />
          <Fact name="duration" value={duration(decision.duration_ms)} />
          <Fact name="id" value={decision.id} />
        </dl>
      </section>
    </div>
  );
}

function Fact({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt class="muted">{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function Attempts({ decision }: { decision: Decision }) {
  const tried = decision.tried ?? [];
  if (tried.length < 2) return null;
  return (
    <ol class="attempts">
      {tried.map((model, i) => (
        <li key={i} class="row">
          <ModelName name={model} /> <span class="muted">{decision.tried_why?.[i]}</span>
          <span class="badge">{decision.tried_outcome?.[i]}</span>
          <span class="muted">{duration(decision.tried_ms?.[i])}</span>
        </li>
      ))}
    </ol>
  );
}
