create function router.usage(
    p_tenant int, p_since timestamptz, p_until timestamptz default now(), p_by text[] default '{}'
) returns table (
    key_id int, model text, policy text, day date, task text, requests bigint, failed bigint, unknown bigint,
    unexplained bigint, share double precision, prompt_tokens bigint, cached_tokens bigint, completion_tokens bigint,
    reasoning_tokens bigint, cost_usd double precision, baseline_usd double precision, saved_usd double precision
)
language plpgsql stable
as $$
begin
    if not p_by <@ '{key,model,policy,day,task}' then
        raise exception 'usage can be grouped by key, model, policy, day and task, not by %', p_by
            using errcode = '22023', column = 'by';
    end if;
    perform router_internal._enter(p_tenant);
    return query
    with entries as (
        select
            case when 'key' = any(p_by) then d.key_id end as key_id,
            case when 'model' = any(p_by) then d.model_id end as model_id,
            case when 'policy' = any(p_by) then d.policy_id end as policy_id,
            case when 'day' = any(p_by) then (d.decided_at at time zone 'UTC')::date end as day,
            case when 'task' = any(p_by) then d.task end as task,
            d.status, d.usage_unexplained, d.prompt_tokens, d.cached_tokens, d.completion_tokens, d.reasoning_tokens,
            d.spent_usd,
            -- Without a policy the requested model was the only choice; if the default model has no price, savings
            -- are unknown and counted as none.
            case when d.spent_usd is not null then
                coalesce(case when d.policy_id is not null then d.default_usd end, d.spent_usd)
            end as baseline_usd
        from router.decisions as d
        where d.tenant_id = p_tenant and d.decided_at >= p_since and d.decided_at < p_until
    ),
    sums as (
        select
            e.key_id, e.model_id, e.policy_id, e.day, e.task, count(*) as requests,
            count(*) filter (where e.status >= 400) as failed,
            -- A refused request cost nothing; if the client disconnected (499), the cost is unknown.
            count(*) filter (where e.spent_usd is null and (e.status < 400 or e.status = 499)) as unknown,
            count(e.usage_unexplained) as unexplained,
            sum(e.prompt_tokens) as prompt_tokens, sum(e.cached_tokens) as cached_tokens,
            sum(e.completion_tokens) as completion_tokens, sum(e.reasoning_tokens) as reasoning_tokens,
            sum(e.spent_usd) as cost_usd, sum(e.baseline_usd) as baseline_usd
        from entries as e
        group by e.key_id, e.model_id, e.policy_id, e.day, e.task
    )
    select
        s.key_id, m.name, coalesce(p.name, '#' || s.policy_id), s.day, s.task, s.requests, s.failed, s.unknown,
        s.unexplained,
        (s.requests / sum(s.requests) over ())::double precision,
        coalesce(s.prompt_tokens, 0), coalesce(s.cached_tokens, 0), coalesce(s.completion_tokens, 0),
        coalesce(s.reasoning_tokens, 0), coalesce(s.cost_usd, 0), coalesce(s.baseline_usd, 0),
        coalesce(s.baseline_usd - s.cost_usd, 0)
    from sums as s
    left join router.models as m on m.model_id = s.model_id
    left join router.policies as p on p.tenant_id = p_tenant and p.policy_id = s.policy_id
    order by s.day, s.cost_usd desc nulls last, s.requests desc, m.name, p.name, s.task, s.key_id;
end;
$$;

comment on function router.usage is
'Sum up what a tenant used from p_since to p_until, exclusive, by any of key, model, policy, day (UTC) and task.
Columns not named in p_by are NULL, and so is a key, policy or task that a request did not have; #7: a deleted policy.
failed: requests with a status of 400 or more; unknown: requests without known tokens or prices, which no USD column
includes; unexplained: requests whose provider''s usage fits no convention, counted at the dearer reading; share: of the
requests; cost_usd: at the prices of that time; baseline_usd: the same tokens at the policy''s default model, or the
cost itself without a policy; saved_usd: the difference. Raises 22023 for another word in p_by.';
