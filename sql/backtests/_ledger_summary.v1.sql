create function router_internal._ledger_summary(
    p_tenant int, p_policy int, p_since timestamptz, p_until timestamptz
) returns table (
    requests bigint, failed bigint, learned double precision, spent_usd double precision, default_usd double precision,
    cost_ratio double precision, cost_error double precision, declined router.reason, declined_share double precision,
    served smallint[], counts bigint[]
)
language sql stable
begin atomic
    with entries as materialized (
        select l.model_id, l.reason, l.status, l.spent_usd, l.default_usd
        from router.decisions as l
        where
            l.tenant_id = p_tenant and l.policy_id = p_policy and l.decided_at >= p_since and l.decided_at < p_until
    ),
    answered as materialized (
        select e.* from entries as e where e.status < 400
    ),
    costs as materialized (
        select
            count(*) as many, sum(a.spent_usd) as spent, sum(a.default_usd) as by_default,
            sum(a.spent_usd) / nullif(sum(a.default_usd), 0) as ratio
        from answered as a
        where a.spent_usd is not null and a.default_usd is not null
    ),
    declines as (
        select a.reason, count(*)::double precision as many
        from answered as a
        where a.reason not in ('learned', 'sticky')
        group by a.reason
        order by many desc, a.reason
        limit 1
    ),
    models as (
        select a.model_id, count(*) as many from answered as a group by a.model_id
    )
    select
        (select count(*) from answered), (select count(*) from entries as e where e.status >= 400),
        (select avg((a.reason in ('learned', 'sticky'))::int)::double precision from answered as a),
        c.spent, c.by_default, c.ratio,
        (
            -- The standard error of a ratio of sums.
            select sqrt(sum(power(a.spent_usd - c.ratio * a.default_usd, 2))) / nullif(c.by_default, 0)
            from answered as a
            where a.spent_usd is not null and a.default_usd is not null
        ),
        (select d.reason from declines as d),
        (select d.many from declines as d) / nullif((select count(*) from answered), 0),
        (select coalesce(array_agg(m.model_id order by m.model_id), '{}') from models as m),
        (select array_agg(m.many order by m.model_id) from models as m)
    from costs as c;
end;

comment on function router_internal._ledger_summary is
'Sum up the ledger of a policy from p_since to p_until, exclusive: requests, costs, declines, models.
cost_ratio compares the cost with that of the default model; cost_error is its standard error. declined: the most
frequent reason other than learned and sticky. Costs and counts are of answered requests; failed has the others.';
