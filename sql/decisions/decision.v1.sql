create function router.decision(p_tenant int, p_decision uuid) returns table (
    decision_id uuid, decided_at timestamptz, policy text, requested text, task text, reason router.reason, model text,
    why text, confidence real, alpha double precision, unit_usd double precision, candidates text[], score real[],
    quality real[], confidences real[], prior real[], cost_usd real[], penalty real[], prompt_estimate real[],
    cached_estimate real[], completion_estimate real[], input_price real[], cached_price real[], output_price real[],
    attempts smallint, status smallint, streamed boolean, estimated_tokens int, prompt_tokens int, cached_tokens int,
    completion_tokens int, reasoning_tokens int, spent_usd double precision, default_usd double precision,
    overhead_ms real, first_token_ms real, duration_ms real, api text, usage_estimated boolean,
    usage_unexplained text, tried text[], tried_why text[], tried_outcome text[], tried_ms real[]
)
language plpgsql stable
as $$
begin
    perform router_internal._enter(p_tenant);
    return query
    select
        d.decision_id, d.decided_at, p.name, d.requested, d.task, d.reason, m.name,
        router_internal._explanation(
            d.reason, m.name, r.models, d.quality::double precision[], d.cost_usd::double precision[],
            d.score::double precision[], d.confidences::double precision[], d.alpha
        ),
        d.confidence, d.alpha, d.unit_usd, r.models, d.score, d.quality, d.confidences, d.prior, d.cost_usd, d.penalty,
        d.prompt_estimate, d.cached_estimate, d.completion_estimate, d.input_price, d.cached_price, d.output_price,
        d.attempts, d.status, d.streamed, d.estimated_tokens, d.prompt_tokens, d.cached_tokens,
        d.completion_tokens, d.reasoning_tokens, d.spent_usd, d.default_usd, d.overhead_ms, d.first_token_ms, d.duration_ms,
        coalesce(d.api, 'chat'), d.usage_estimated, d.usage_unexplained,
        coalesce(a.models, array[m.name]), coalesce(d.tried_why, '{chosen}'),
        coalesce(d.tried_outcome, array[d.status::text]), coalesce(d.tried_ms, array[d.first_token_ms])
    from router.decisions as d
    inner join router.models as m on m.model_id = d.model_id
    left join router.policies as p on p.tenant_id = p_tenant and p.policy_id = d.policy_id
    cross join lateral (
        select array_agg(o.name order by c.position) as models
        from unnest(d.candidates) with ordinality as c (model_id, position)
        inner join router.models as o on o.model_id = c.model_id
    ) as r
    cross join lateral (
        select array_agg(o.name order by c.position) as models
        from unnest(d.tried) with ordinality as c (model_id, position)
        inner join router.models as o on o.model_id = c.model_id
    ) as a
    where
        d.tenant_id = p_tenant
        and d.decision_id = p_decision
        and d.decided_at = uuid_extract_timestamp(p_decision);
end;
$$;

comment on function router.decision is
'Return one decision of a tenant as it was made, with its reason and the tokens and time it used.
No row: the tenant has no decision with that number. The arrays are in the order of candidates: score = quality - alpha
cost_usd / unit_usd - penalty, and cost_usd follows from the estimates at the prices of that time, cached tokens at
cached_price. cached_estimate and penalty NULL: 0 for all. tried: the models that were called or skipped, in order,
with the reason (tried_why), the outcome and the time until the answer began or failed.';
