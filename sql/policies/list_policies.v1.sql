create function router.list_policies(p_tenant int) returns table (
    policy_id int,
    name text,
    backend router.backend,
    default_model text,
    models text[],
    weights real[],
    granularity router.granularity,
    alpha double precision,
    k int,
    tau double precision,
    n0 double precision,
    n0_task double precision,
    n1 double precision,
    seed_count int,
    confidence_floor double precision,
    switch_penalty double precision,
    sticky_seconds int,
    explore_share double precision,
    explore_labels int,
    base_weight double precision,
    n2 double precision,
    ease double precision,
    transfer double precision,
    fit_n0 router.on_off,
    guess_task router.task_guess
)
language plpgsql stable
as $$
begin
    perform router_internal._enter(p_tenant);
    return query
    select
        p.policy_id, p.name, p.backend, d.name, c.models, c.weights, p.granularity, p.alpha, p.k, p.tau, p.n0,
        p.n0_task, p.n1, p.seed_count, p.confidence_floor, p.switch_penalty, p.sticky_seconds,
        p.explore_share, p.explore_labels, p.base_weight, p.n2, p.ease, p.transfer, p.fit_n0,
        p.guess_task
    from router.policies as p
    inner join router.models as d on d.model_id = p.default_model
    cross join lateral (
        select
            coalesce(array_agg(m.name order by m.name), '{}') as models,
            coalesce(array_agg(l.weight order by m.name), '{}') as weights
        from router.policy_models as l
        inner join router.models as m on m.model_id = l.model_id
        where l.tenant_id = p_tenant and l.policy_id = p.policy_id
    ) as c
    where p.tenant_id = p_tenant
    order by p.name;
end;
$$;

comment on function router.list_policies is
'List the policies of a tenant with all settings, and their candidates by name with weights, disabled models included.';
