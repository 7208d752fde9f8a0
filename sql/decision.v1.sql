create function router.decision(p_tenant int, p_decision uuid) returns table (
    decision_id uuid, decided_at timestamptz, policy text, requested text, task text, reason router.reason, model text,
    confidence real, candidates text[], quality real[], cost_usd real[], score real[], attempts smallint,
    status smallint, streamed boolean, prompt_tokens int, cached_tokens int, completion_tokens int,
    spent_usd double precision, default_usd double precision, overhead_ms real, first_token_ms real, duration_ms real
)
language plpgsql stable
as $$
begin
    perform router._enter(p_tenant);
    return query
    select
        d.decision_id, d.decided_at, p.name, d.requested, d.task, d.reason, m.name, d.confidence,
        (
            select array_agg(o.name order by c.position)
            from unnest(d.candidates) with ordinality as c (model_id, position)
            inner join router.models as o on o.model_id = c.model_id
        ),
        d.quality, d.cost_usd, d.score, d.attempts, d.status, d.streamed, d.prompt_tokens, d.cached_tokens,
        d.completion_tokens, d.spent_usd, d.default_usd, d.overhead_ms, d.first_token_ms, d.duration_ms
    from router.decisions as d
    inner join router.models as m on m.model_id = d.model_id
    left join router.policies as p on p.tenant_id = p_tenant and p.policy_id = d.policy_id
    where
        d.tenant_id = p_tenant
        and d.decision_id = p_decision
        and d.decided_at = uuid_extract_timestamp(p_decision);
end;
$$;

comment on function router.decision is
'One decision of a tenant as it was made and what it used; no row when the tenant has none of that number.';
