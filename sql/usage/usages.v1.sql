create function router.usages(
    p_since timestamptz, p_until timestamptz default now(), p_by text[] default '{}'
) returns table (
    tenant text, key_id int, model text, policy text, day date, task text, requests bigint, failed bigint,
    unknown bigint, unexplained bigint, share double precision, prompt_tokens bigint, cached_tokens bigint,
    completion_tokens bigint, reasoning_tokens bigint, cost_usd double precision, baseline_usd double precision,
    saved_usd double precision
)
language sql stable
begin atomic
    select
        t.name, u.key_id, u.model, u.policy, u.day, u.task, u.requests, u.failed, u.unknown, u.unexplained,
        (u.requests / sum(u.requests) over ())::double precision,
        u.prompt_tokens, u.cached_tokens, u.completion_tokens, u.reasoning_tokens, u.cost_usd, u.baseline_usd,
        u.saved_usd
    from router.tenants as t
    cross join lateral router.usage(t.tenant_id, p_since, p_until, p_by) as u
    order by t.name, u.day, u.cost_usd desc, u.requests desc, u.model, u.policy, u.task, u.key_id;
end;

comment on function router.usages is
'Return usage of every tenant that the caller sees, by name; share: of the requests of all of them.
Raises 22023 as usage does.';
