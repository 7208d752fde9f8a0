create function router_internal._rule(
    p_tenant int, p_policy int, p_space smallint, p_models smallint[], p_settings router.policy_settings
) returns router_internal.rule
language sql stable
begin atomic
    select (
        coalesce((p_settings).n0, p.n0), coalesce((p_settings).n0_task, p.n0_task), coalesce((p_settings).n1, p.n1),
        coalesce((p_settings).n2, p.n2),
        coalesce((p_settings).ease, p.ease) * greatest(coalesce(l.labels / nullif(c.memories, 0), 0), 1),
        case when c.memories >= 200 then
            coalesce((p_settings).transfer, p.transfer) * l.labels / (l.labels + 300 * cardinality(p_models))
        else 0 end,
        coalesce(c.memories >= 200 and coalesce((p_settings).fit_n0, p.fit_n0) = 'on', false),
        case
            when coalesce((p_settings).guess_task, p.guess_task) = 'fit' and coalesce(c.memories, 0) < 200 then 'never'
            else coalesce((p_settings).guess_task, p.guess_task)
        end
    )::router_internal.rule
    from router.policies as p
    left join router.memory_counts as c on c.tenant_id = p_tenant and c.space_id = p_space
    cross join lateral (
        select sum(a.labels)::double precision as labels
        from router.priors as a
        where
            a.tenant_id = p_tenant and a.space_id = p_space and a.task_id = 0 and a.model_id = any(p_models)
    ) as l
    where p.tenant_id = p_tenant and p.policy_id = p_policy;
end;

comment on function router_internal._rule is
'Return how a policy turns sums into estimates; p_settings overrides its settings.
Below 200 memories nothing is fitted.';
