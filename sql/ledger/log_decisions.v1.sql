create function router.log_decisions(p_entries router.decision_entry[]) returns int
language plpgsql volatile
as $$
declare
    v_tenant int;
    v_day date;
    v_logged int := 0;
    v_new uuid[];
    v_usages router_internal.request_usage[] := '{}';
begin
    for v_day in
        select distinct (uuid_extract_timestamp(e.decision_id) at time zone 'UTC')::date
        from unnest(p_entries) as e
        order by 1
    loop
        perform router_internal._open_day(v_day);
    end loop;
    for v_tenant in select distinct e.tenant_id from unnest(p_entries) as e order by 1 loop
        perform router_internal._enter(v_tenant);
        -- The tenant may have been deleted since.
        continue when not exists (select from router.tenants where tenant_id = v_tenant);
        with written as (
            insert into router.decisions (
                tenant_id, decision_id, decided_at, key_id, policy_id, requested, task, reason, model_id, confidence,
                candidates, quality, cost_usd, score, prior, confidences, prompt_estimate, completion_estimate,
                input_price, output_price, cached_estimate, cached_price, penalty, alpha, unit_usd, attempts, status,
                streamed, prompt_tokens, cached_tokens, completion_tokens, reasoning_tokens, estimated_tokens, spent_usd,
                default_usd, overhead_ms, first_token_ms, duration_ms, api, tried, tried_why, tried_outcome, tried_ms,
                usage_estimated, usage_unexplained
            )
            select
                e.tenant_id, e.decision_id, uuid_extract_timestamp(e.decision_id), e.key_id, e.policy_id, e.requested,
                e.task, e.reason, e.model_id, e.confidence, e.candidates, e.quality, e.cost_usd, e.score, e.prior,
                e.confidences, e.prompt_estimate, e.completion_estimate, e.input_price, e.output_price,
                e.cached_estimate, e.cached_price, e.penalty, e.alpha, e.unit_usd, e.attempts, e.status, e.streamed,
                e.prompt_tokens, e.cached_tokens, e.completion_tokens, e.reasoning_tokens, e.estimated_tokens,
                router_internal._cost(
                    m.input_price, m.cached_input_price, m.output_price,
                    e.prompt_tokens, e.cached_tokens, e.completion_tokens
                ),
                router_internal._cost(
                    d.input_price, d.cached_input_price, d.output_price,
                    e.prompt_tokens, e.cached_tokens, e.completion_tokens
                ),
                e.overhead_ms, e.first_token_ms, e.duration_ms, e.api, e.tried, e.tried_why, e.tried_outcome,
                e.tried_ms, coalesce(e.usage_estimated, false), e.usage_unexplained
            from unnest(p_entries) as e
            inner join router_internal._prices(v_tenant) as m on m.model_id = e.model_id
            left join router.policies as p on p.tenant_id = v_tenant and p.policy_id = e.policy_id
            left join router_internal._prices(v_tenant) as d on d.model_id = p.default_model
            where e.tenant_id = v_tenant
            on conflict on constraint decisions_pkey do nothing
            returning decision_id, key_id, attempts, status, spent_usd, prompt_tokens, completion_tokens
        ),
        taken as (
            -- A request that failed before any answer used nothing. If the client disconnected (499), usage is unknown.
            select
                v_tenant as tenant_id, w.decision_id, w.key_id,
                coalesce(w.spent_usd, n.nothing) as usd,
                coalesce(w.prompt_tokens + w.completion_tokens, n.nothing) as tokens
            from written as w
            cross join lateral (
                select case when w.attempts = 0 or (w.status >= 400 and w.status <> 499) then 0 end as nothing
            ) as n
        )
        select coalesce(array_agg(t.decision_id), '{}'), v_usages || array_agg(t::router_internal.request_usage)
        into v_new, v_usages
        from taken as t;
        v_logged := v_logged + cardinality(v_new);

        insert into router.conversations as c (
            tenant_id, policy_id, conversation, model_id, prompt_tokens, updated_at, expires_at
        )
        select distinct on (e.policy_id, e.conversation)
            v_tenant, e.policy_id, e.conversation, e.model_id, e.prompt_tokens, t.decided_at,
            t.decided_at + make_interval(secs => p.sticky_seconds)
        from unnest(p_entries) as e
        cross join lateral (select uuid_extract_timestamp(e.decision_id) as decided_at) as t
        inner join router.policies as p on p.tenant_id = v_tenant and p.policy_id = e.policy_id
        where
            e.tenant_id = v_tenant and e.conversation is not null and e.status < 400 and p.sticky_seconds > 0
            -- A conversation does not stay with a model that a declined decision chose.
            and e.reason in ('learned', 'sticky', 'cheapest', 'fastest', 'weighted', 'fallback', 'explore')
        order by e.policy_id, e.conversation, e.decision_id desc
        on conflict on constraint conversations_pkey do update set
            model_id = excluded.model_id, prompt_tokens = excluded.prompt_tokens, updated_at = excluded.updated_at,
            expires_at = excluded.expires_at
        where c.updated_at <= excluded.updated_at;

        insert into router.responses (tenant_id, response, model_id, expires_at)
        select v_tenant, e.response, e.model_id, uuid_extract_timestamp(e.decision_id) + interval '30 days'
        from unnest(p_entries) as e
        where e.tenant_id = v_tenant and e.response is not null and e.status < 400
        on conflict on constraint responses_pkey do nothing;

        perform router_internal._update_speeds(v_tenant, p_entries, v_new);
    end loop;
    -- Last, because admissions wait for the meters that this locks until the transaction ends.
    for v_tenant in select distinct u.tenant_id from unnest(v_usages) as u order by 1 loop
        perform router_internal._enter(v_tenant);
        perform router_internal._settle(
            v_tenant, array(select u from unnest(v_usages) as u where u.tenant_id = v_tenant)
        );
    end loop;
    return v_logged;
end;
$$;

comment on function router.log_decisions is
'Write served requests of any tenants to the ledger, at the tenant''s prices; return how many were new.
Also stores the model of each conversation, the models that gave stored responses (for 30 days), what _update_speeds
learns of each model, and what _settle books on budgets. Writing an entry again changes nothing.';
