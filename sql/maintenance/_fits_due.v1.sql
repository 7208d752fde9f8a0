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
            or f.k <> p.k or f.tau <> p.tau or f.settings <> router_internal._fit_settings(p)
            -- A full memory replaces its memories and keeps its size.
            or f.fitted_at < now() - interval '30 days'
            -- A model was labelled on prompts that were known.
            or exists (
                select from unnest(f.models, f.labels) as l (model_id, labels)
                inner join router.priors as a
                    on a.tenant_id = p.tenant_id and a.space_id = c.space_id and a.task_id = 0
                    and a.model_id = l.model_id
                where a.labels >= 2 * greatest(l.labels, 1)
            )
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
'List the policies whose fit is missing or stale: other settings or candidates, twice the labels, half the memories.
The owner sees all tenants, other roles the one that they entered.';
