create function router.savings(
    p_tenant int, p_policy int default null, p_since timestamptz default null, p_until timestamptz default now()
) returns table (
    policy text, since timestamptz, until timestamptz, requests bigint, learned double precision,
    spent_usd double precision, default_usd double precision, saved_usd double precision, cost_ratio double precision,
    target double precision, calibrated_at timestamptz, expected_cost_ratio double precision,
    expected_quality_ratio double precision, expected_quality_ratio_low double precision, models text[],
    shares double precision[], expected_shares double precision[], memories_then int, memories_now int, verdict text,
    at_most double precision, confidence double precision, expected_worse_share double precision
)
language plpgsql stable
as $$
begin
    perform router_internal._enter(p_tenant);
    if p_policy is not null and not exists (
        select from router.policies as p where p.tenant_id = p_tenant and p.policy_id = p_policy
    ) then
        raise exception 'tenant % has no policy %', p_tenant, p_policy using errcode = 'RT002';
    end if;
    return query
    select
        p.name, s.since, p_until, l.requests, l.learned, l.spent_usd, l.default_usd, l.default_usd - l.spent_usd,
        l.cost_ratio, c.target, c.calibrated_at, c.cost_ratio, c.quality_ratio, c.quality_ratio_low,
        u.models, u.shares, u.expected_shares, c.memories, n.memories,
        router_internal._verdict(
            l.requests, l.failed, l.cost_ratio, l.cost_error, c.cost_ratio, d.name, l.declined, l.declined_share,
            c.calibrated_at is not null,
            coalesce((c.new_settings).alpha <> p.alpha or (c.new_settings).k <> p.k or (c.new_settings).tau <> p.tau
                or (c.new_settings).n0 <> p.n0 or (c.new_settings).n0_task <> p.n0_task
                or c.default_model <> p.default_model or p.backend <> 'knn'
                or exists (
                    select from router.policy_changes as h
                    where h.tenant_id = p_tenant and h.policy_id = p.policy_id and h.change_id > (
                        select max(k.change_id) from router.policy_changes as k
                        where
                            k.tenant_id = p_tenant and k.policy_id = p.policy_id and k.cause = 'calibrate'
                            and k.changed_at = c.calibrated_at
                    )
                )
                or c.models <> array(select o.model_id from router_internal._candidates(p_tenant, p.policy_id) as o), false),
            c.memories, n.memories, c.certificate
        ),
        c.at_most, c.confidence, c.worse_share
    from router.policies as p
    inner join router.models as d on d.model_id = p.default_model
    left join lateral (
        select o.*, router_internal._certificate(o, m.name) as certificate
        from router.calibrations as o
        inner join router.models as m on m.model_id = o.default_model
        where o.tenant_id = p_tenant and o.policy_id = p.policy_id and o.calibrated_at <= p_until
        order by o.calibrated_at desc
        limit 1
    ) as c on true
    cross join lateral (
        select coalesce(p_since, c.calibrated_at, p_until - interval '30 days') as since
    ) as s
    cross join lateral router_internal._ledger_summary(p_tenant, p.policy_id, s.since, p_until) as l
    cross join lateral (
        select
            array_agg(m.name order by m.name) as models,
            array_agg(coalesce(l.counts[array_position(l.served, m.model_id)], 0)
                / nullif(l.requests, 0)::double precision order by m.name) as shares,
            case when c.calibrated_at is not null then
                array_agg(coalesce(c.shares[array_position(c.models, m.model_id)], 0) order by m.name)
            end as expected_shares
        from router.models as m
        where m.model_id = any(l.served || coalesce(c.models, '{}'))
    ) as u
    cross join lateral (
        select coalesce(sum(o.memories), 0)::int as memories
        from router.memory_counts as o
        inner join router.tenants as t on t.tenant_id = p_tenant
        where o.tenant_id = p_tenant and o.space_id = coalesce(t.space_id, c.space_id, o.space_id)
    ) as n
    where p.tenant_id = p_tenant and (p_policy is null or p.policy_id = p_policy)
    order by p.name;
end;
$$;

comment on function router.savings is
'Compare what each policy cost since its calibration, by the ledger, with what the calibration expected.
p_since NULL: the last calibration, or 30 days before p_until if there is none. requests: those answered (status below
400); learned: the share that the memory decided, including conversations that stayed with their model. USD columns
count requests with known tokens and prices; default_usd: the same tokens at the default model''s prices. at_most,
confidence, expected_worse_share: of a certificate, the latter as measured. verdict: the result in a sentence. Raises RT002 for an unknown policy.';
