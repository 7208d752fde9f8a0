create function router.evidence(
    p_tenant int, p_policy int, p_space smallint, p_embedding halfvec, p_limit int default 10, p_k int default null,
    p_tau double precision default null, p_task text default null
) returns table (
    memory_id bigint, similarity real, weight real, task text, source text, prompt text, models text[], scores real[],
    candidates text[], effects real[]
)
language plpgsql stable
as $$
declare
    v_context router.context;
    v_estimates router.estimate[];
    v_influence double precision[];
    v_names text[];
begin
    perform router_internal._enter(p_tenant);
    select c.* into v_context
    from router.policies as p
    cross join lateral router_internal._context(
        p_tenant, p_policy, p_space, p.default_model, null, p_k, p_tau
    ) as c
    where p.tenant_id = p_tenant and p.policy_id = p_policy;
    v_estimates := router_internal._estimates(
        p_tenant, p_space, v_context,
        router_internal._with_task_and_base(p_tenant, p_space, v_context, p_task, null),
        p_embedding, 0, 0, null, 0, p_task is null and v_context.guesses
    );
    v_influence := router_internal._influence(v_estimates, v_context);
    select array_agg(m.name order by e.ordinality) into v_names
    from unnest(v_estimates) with ordinality as e
    inner join router.models as m on m.model_id = e.model_id;
    return query
    select
        n.memory_id, n.similarity::real, exp(greatest((n.similarity - 1) / v_context.tau, -80))::real, k.name, x.source,
        x.prompt, l.models, l.scores, v_names, f.effects
    from router.neighbours(p_tenant, p_space, p_embedding, least(v_context.k, p_limit)) as n
    left join router.memory_texts as x on x.tenant_id = p_tenant and x.memory_id = n.memory_id
    left join router.tasks as k on k.tenant_id = p_tenant and k.task_id = n.task_id
    cross join lateral (
        select array_agg(m.name order by m.name) as models, array_agg(u.quality order by m.name) as scores
        from unnest(n.quality) with ordinality as u (quality, model_id)
        inner join router.models as m on m.model_id = u.model_id
        where u.quality is not null
    ) as l
    cross join lateral (
        select array_agg(
            -- A smaller weight would be an underflow of type real; it is practically zero.
            case when e.prior is not null then (
                exp(greatest((n.similarity - 1) / v_context.tau, -60)) * (
                    select coalesce(sum(
                        v_influence[(o.ordinality - 1) * cardinality(v_estimates) + e.ordinality]
                        * (n.quality[o.model_id] - o.prior)
                    ), 0)
                    from unnest(v_estimates) with ordinality as o
                )
            )::real end
            order by e.ordinality
        ) as effects
        from unnest(v_estimates) with ordinality as e
    ) as f
    order by n.similarity desc, n.memory_id;
end;
$$;

comment on function router.evidence is
'Return the memories nearest to an embedding: prompt, labels by model name, weight, and effect on the estimates.
p_limit: how many at most, and never more than the policy''s k. p_k, p_tau: replace the policy''s k and tau. p_task: the
request''s task tag. effects: by how much the memory''s labels, of all models, move the expected quality of each of
candidates; over all k neighbours they add up to quality less prior, where no shared memory helps. explain, called with
the same embedding, shows the estimates that follow.';
