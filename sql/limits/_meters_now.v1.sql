create function router_internal._meters_now(p_tenant int, p_keys int[], p_now timestamptz)
returns setof router_internal.meter_now
language sql volatile
begin atomic
    with today as (
        select (p_now at time zone 'UTC')::date as day
    )
    select
        m.limit_id, l.key_id, l.requests_per_minute, l.tokens_per_minute,
        router_internal._bucket_level(m.requests_left, l.requests_per_minute, m.refilled_at, p_now),
        router_internal._bucket_level(m.tokens_left, l.tokens_per_minute, m.refilled_at, p_now),
        greatest(m.day, t.day), l.day_usd::numeric,
        case when m.day >= t.day then m.day_usd else 0 end,
        l.month_usd::numeric,
        case when m.day >= date_trunc('month', t.day::timestamp)::date then m.month_usd else 0 end,
        m.reserved_usd
    from router.limits as l
    inner join router.meters as m on m.limit_id = l.limit_id
    cross join today as t
    where l.tenant_id = p_tenant and l.scope = any(array_append(p_keys, 0))
    order by l.scope
    for update of m;
end;

comment on function router_internal._meters_now is
'Lock the meters of a tenant and of these of its keys, and return them as of p_now.
Buckets are refilled, and a new day or month begins with nothing spent. The tenant must have been entered. Rows are
locked until the transaction ends, the tenant''s first and then by key, so that there are no deadlocks.';
