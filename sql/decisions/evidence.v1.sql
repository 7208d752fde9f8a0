create function router.evidence(
    p_tenant int, p_policy int, p_space smallint, p_embedding halfvec, p_limit int default 10, p_k int default null,
    p_tau double precision default null
) returns table (
    memory_id bigint, similarity real, weight real, task text, source text, prompt text, models text[], scores real[]
)
language plpgsql stable
as $$
begin
    perform router_internal._enter(p_tenant);
    return query
    select
        n.memory_id, n.similarity::real, exp(greatest((n.similarity - 1) / coalesce(p_tau, p.tau), -80))::real, k.name, x.source, x.prompt,
        l.models, l.scores
    from router.policies as p
    cross join lateral router.neighbours(p_tenant, p_space, p_embedding, least(coalesce(p_k, p.k), p_limit)) as n
    left join router.memory_texts as x on x.tenant_id = p_tenant and x.memory_id = n.memory_id
    left join router.tasks as k on k.tenant_id = p_tenant and k.task_id = n.task_id
    cross join lateral (
        select array_agg(m.name order by m.name) as models, array_agg(u.quality order by m.name) as scores
        from unnest(n.quality) with ordinality as u (quality, model_id)
        inner join router.models as m on m.model_id = u.model_id
        where u.quality is not null
    ) as l
    where p.tenant_id = p_tenant and p.policy_id = p_policy
    order by n.similarity desc, n.memory_id;
end;
$$;

comment on function router.evidence is
'Return the memories nearest to an embedding: prompt, labels by model name, similarity and weight in the decision.
p_limit: how many at most, and never more than the policy''s k. p_k, p_tau: replace the policy''s k and tau. explain,
called with the same embedding, shows the estimates that follow from them.';
