create function router_internal._fits_due(p_tenant int default null) returns table (
    tenant_id int, policy_id int, space_id smallint, memories int
)
language sql stable
begin atomic
    select p.tenant_id, p.policy_id, c.space_id, c.memories
    from router.policies as p
    inner join router.tenants as t on t.tenant_id = p.tenant_id
    inner join router.memory_counts as c
        on c.tenant_id = p.tenant_id and c.memories >= 200
        and (t.space_id is null or c.space_id in (t.space_id, t.next_space_id))
    left join router.fits as f on f.policy_id = p.policy_id and f.space_id = c.space_id
    where
        (p_tenant is null or p.tenant_id = p_tenant)
        and p.backend = 'knn'
        and (p.fit_n0 = 'on' or p.transfer > 0 or p.guess_task = 'fit')
        and (
            f.policy_id is null
            or f.k <> p.k or f.tau <> p.tau
            or c.memories >= 2 * f.memories or 2 * c.memories < f.memories
            -- A candidate came.
            or exists (
                select from router.models as m
                where
                    m.enabled and m.model_id <> all(f.models)
                    and (
                        m.model_id = p.default_model
                        or exists (
                            select from router.policy_models as x
                            where
                                x.tenant_id = p.tenant_id and x.policy_id = p.policy_id
                                and x.model_id = m.model_id
                        )
                    )
            )
        );
end;

comment on function router_internal._fits_due is
'List the policies whose fit is missing or stale: other k, tau or candidates, or a memory twice or half as large.
The owner sees all tenants, other roles the one that they entered.';
