create view router.budgets with (security_invoker = true) as
select
    t.tenant_id,
    t.name as tenant,
    l.key_id,
    case when l.key_id is not null then coalesce(nullif(k.name, ''), k.hint) end as key,
    l.requests_per_minute,
    b.requests_left,
    l.tokens_per_minute,
    b.tokens_left,
    l.day_usd,
    d.day_spent::double precision as day_spent_usd,
    case when l.day_usd is not null then
        greatest(l.day_usd::numeric - d.day_spent - m.reserved_usd, 0)::double precision
    end as day_left_usd,
    l.month_usd,
    d.month_spent::double precision as month_spent_usd,
    case when l.month_usd is not null then
        greatest(l.month_usd::numeric - d.month_spent - m.reserved_usd, 0)::double precision
    end as month_left_usd,
    m.reserved_usd::double precision as reserved_usd
from router.limits as l
inner join router.tenants as t on t.tenant_id = l.tenant_id
inner join router.meters as m on m.limit_id = l.limit_id
left join router.api_keys as k on k.tenant_id = l.tenant_id and k.key_id = l.key_id
cross join lateral (
    select
        case when m.day >= n.day then m.day_usd else 0 end as day_spent,
        case when m.day >= date_trunc('month', n.day::timestamp)::date then m.month_usd else 0 end as month_spent
    from (select (now() at time zone 'UTC')::date as day) as n
) as d
cross join lateral (
    select
        case when l.requests_per_minute is not null then floor(greatest(
            router_internal._bucket_level(m.requests_left, l.requests_per_minute, m.refilled_at, now()), 0
        )) end as requests_left,
        case when l.tokens_per_minute is not null then floor(greatest(
            router_internal._bucket_level(m.tokens_left, l.tokens_per_minute, m.refilled_at, now()), 0
        )) end as tokens_left
) as b
order by t.name, l.key_id nulls first;

comment on view router.budgets is 'Limits of tenants and of their keys, with what is used and left as of now.';
comment on column router.budgets.tenant_id is 'Number of the tenant.';
comment on column router.budgets.tenant is 'Name of the tenant.';
comment on column router.budgets.key_id is 'The key; NULL: all keys of the tenant together.';
comment on column router.budgets.key is 'Name of the key, or its first characters.';
comment on column router.budgets.requests_per_minute is 'Requests a minute, and in one burst; NULL: no limit.';
comment on column router.budgets.requests_left is 'Requests that would be admitted now.';
comment on column router.budgets.tokens_per_minute is 'Tokens a minute, and in one burst; NULL: no limit.';
comment on column router.budgets.tokens_left is 'Tokens that would be admitted now.';
comment on column router.budgets.day_usd is 'USD a day (UTC); NULL: no limit.';
comment on column router.budgets.day_spent_usd is 'USD spent today, by requests that have ended.';
comment on column router.budgets.day_left_usd is 'USD left for today after reservations; NULL: no limit.';
comment on column router.budgets.month_usd is 'USD a month (UTC); NULL: no limit.';
comment on column router.budgets.month_spent_usd is 'USD spent this month, by requests that have ended.';
comment on column router.budgets.month_left_usd is 'USD left for this month after reservations; NULL: no limit.';
comment on column router.budgets.reserved_usd is 'USD reserved by requests under way.';
