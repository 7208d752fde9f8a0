create function router.list_decisions(
    p_tenant int,
    p_limit int default 50,
    p_before uuid default null,
    p_since timestamptz default now() - interval '24 hours',
    p_reasons text[] default null,
    p_model text default null,
    p_task text default null,
    p_policy text default null,
    p_key int default null
) returns table (
    decision_id uuid, decided_at timestamptz, policy text, requested text, task text, reason router.reason, model text,
    confidence real, key_id int, status smallint, streamed boolean, attempts smallint, prompt_tokens int,
    completion_tokens int, spent_usd double precision, default_usd double precision, overhead_ms real,
    first_token_ms real, duration_ms real
)
language plpgsql stable
as $$
begin
    perform router_internal._enter(p_tenant);
    return query
    select
        d.decision_id, d.decided_at, p.name, d.requested, d.task, d.reason, m.name, d.confidence, d.key_id, d.status,
        d.streamed, d.attempts, d.prompt_tokens, d.completion_tokens, d.spent_usd, d.default_usd, d.overhead_ms,
        d.first_token_ms, d.duration_ms
    from router.decisions as d
    inner join router.models as m on m.model_id = d.model_id
    left join router.policies as p on p.tenant_id = p_tenant and p.policy_id = d.policy_id
    where
        d.tenant_id = p_tenant
        and d.decided_at >= p_since
        -- The partitions after the page are not opened.
        and (p_before is null or d.decided_at <= uuid_extract_timestamp(p_before))
        and (p_before is null or (d.decided_at, d.decision_id) < (uuid_extract_timestamp(p_before), p_before))
        and (p_reasons is null or d.reason::text = any(p_reasons))
        and (p_model is null or m.name = p_model)
        and (p_task is null or d.task = p_task)
        and (p_policy is null or p.name = p_policy)
        and (p_key is null or d.key_id = p_key)
    order by d.decided_at desc, d.decision_id desc
    limit p_limit;
end;
$$;

comment on function router.list_decisions is
'Return decisions of a tenant, newest first, as far back as p_since.
p_before: only decisions before this one, for the next page. p_reasons, p_model, p_task, p_policy, p_key: only decisions
with these values; NULL: all. The function decision returns one of them with all its numbers.';
