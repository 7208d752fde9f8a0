create function router_internal._put_policy(
    p_tenant int,
    p_name text,
    p_backend router.backend,
    p_default text,
    p_models text[],
    p_weights real[],
    p_settings router.policy_settings
) returns int
language plpgsql volatile
as $$
declare
    v_policy int;
    v_default smallint;
    v_missing text;
begin
    select c.name into v_missing
    from unnest(p_models || p_default) as c (name)
    where not exists (select from router.models as m where m.name = c.name and m.enabled)
    limit 1;
    if found then
        raise exception 'there is no model %', v_missing using errcode = 'RT003', column = 'models';
    end if;
    select m.name into v_missing
    from router.models as m
    inner join router_internal._prices(p_tenant) as w on w.model_id = m.model_id
    where m.name = any(p_models || p_default) and (w.input_price is null or w.output_price is null)
        and p_backend in ('knn', 'cheapest')
    order by m.name
    limit 1;
    if found then
        raise exception 'model % has no price, so its cost cannot be weighed', v_missing
            using errcode = 'RT004', column = 'models';
    end if;
    select model_id into v_default from router.models where name = p_default;

    insert into router.policies as p (
        tenant_id, name, backend, default_model, granularity, alpha, k, tau, n0, n0_task, n1, seed_count,
        confidence_floor, switch_penalty, sticky_seconds, explore_share, explore_labels,
        base_weight, n2, ease, transfer, fit_n0, guess_task
    )
    select
        p_tenant, p_name, p_backend, v_default, coalesce(s.granularity, 'conversation'), coalesce(s.alpha, 0.1),
        coalesce(s.k, 100), coalesce(s.tau, 0.2), coalesce(s.n0, 2), coalesce(s.n0_task, 20), coalesce(s.n1, 20),
        coalesce(s.seed_count, 100), coalesce(s.confidence_floor, 0), coalesce(s.switch_penalty, 0),
        coalesce(s.sticky_seconds, 86400), coalesce(s.explore_share, 0), coalesce(s.explore_labels, 20),
        coalesce(s.base_weight, 100), coalesce(s.n2, 20), coalesce(s.ease, 2), coalesce(s.transfer, 0.5),
        coalesce(s.fit_n0, 'on'), coalesce(s.guess_task, 'fit')
    from (select (p_settings).*) as s
    on conflict on constraint policies_name_key do update set
        backend = excluded.backend,
        default_model = excluded.default_model,
        granularity = coalesce((p_settings).granularity, p.granularity),
        alpha = coalesce((p_settings).alpha, p.alpha),
        k = coalesce((p_settings).k, p.k),
        tau = coalesce((p_settings).tau, p.tau),
        n0 = coalesce((p_settings).n0, p.n0),
        n0_task = coalesce((p_settings).n0_task, p.n0_task),
        n1 = coalesce((p_settings).n1, p.n1),
        seed_count = coalesce((p_settings).seed_count, p.seed_count),
        confidence_floor = coalesce((p_settings).confidence_floor, p.confidence_floor),
        switch_penalty = coalesce((p_settings).switch_penalty, p.switch_penalty),
        sticky_seconds = coalesce((p_settings).sticky_seconds, p.sticky_seconds),
        explore_share = coalesce((p_settings).explore_share, p.explore_share),
        explore_labels = coalesce((p_settings).explore_labels, p.explore_labels),
        base_weight = coalesce((p_settings).base_weight, p.base_weight),
        n2 = coalesce((p_settings).n2, p.n2),
        ease = coalesce((p_settings).ease, p.ease),
        transfer = coalesce((p_settings).transfer, p.transfer),
        fit_n0 = coalesce((p_settings).fit_n0, p.fit_n0),
        guess_task = coalesce((p_settings).guess_task, p.guess_task)
    returning p.policy_id into v_policy;

    delete from router.policy_models where tenant_id = p_tenant and policy_id = v_policy;
    insert into router.policy_models (tenant_id, policy_id, model_id, weight)
    select p_tenant, v_policy, m.model_id, max(coalesce(c.weight, 1))
    from unnest(p_models, p_weights) as c (name, weight)
    inner join router.models as m on m.name = c.name
    group by m.model_id;
    return v_policy;
end;
$$;

comment on function router_internal._put_policy is
'Add or change a policy as put_policy does, without an entry in policy_changes. Raises RT003 and RT004 as it does.';
