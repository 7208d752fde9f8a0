create function router_internal._policy_state(p_tenant int, p_policy int) returns jsonb
language sql stable
begin atomic
    select jsonb_build_object(
        'backend', p.backend, 'default_model', d.name, 'models', c.models, 'weights', c.weights,
        'granularity', p.granularity, 'alpha', p.alpha, 'k', p.k, 'tau', p.tau, 'n0', p.n0, 'n0_task', p.n0_task,
        'n1', p.n1, 'seed_count', p.seed_count, 'confidence_floor', p.confidence_floor,
        'switch_penalty', p.switch_penalty, 'sticky_seconds', p.sticky_seconds, 'explore_share', p.explore_share,
        'explore_labels', p.explore_labels, 'base_weight', p.base_weight, 'n2', p.n2, 'ease', p.ease,
        'transfer', p.transfer, 'fit_n0', p.fit_n0, 'guess_task', p.guess_task
    )
    from router.policies as p
    inner join router.models as d on d.model_id = p.default_model
    cross join lateral (
        select
            coalesce(jsonb_agg(m.name order by m.name), '[]') as models,
            coalesce(jsonb_agg(l.weight order by m.name), '[]') as weights
        from router.policy_models as l
        inner join router.models as m on m.model_id = l.model_id
        where l.tenant_id = p_tenant and l.policy_id = p_policy
    ) as c
    where p.tenant_id = p_tenant and p.policy_id = p_policy;
end;

comment on function router_internal._policy_state is
'Return everything that put_policy sets of a policy, by name, for policy_changes; NULL if there is no such policy.';
