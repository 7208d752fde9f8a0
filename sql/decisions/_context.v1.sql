create function router_internal._context(
    p_tenant int, p_policy int, p_space smallint, p_default smallint, p_models smallint[],
    p_k int default null, p_tau double precision default null
) returns setof router.context
language sql stable
begin atomic
    -- One column for each attribute of the type, in its order; the same holds for `v`.
    select
        p.backend, p.granularity, p.seed_count, p.confidence_floor, p.explore_share, p.explore_labels,
        coalesce(p_k, p.k) as k, coalesce(p_tau, p.tau) as tau, p.n0_task, p.n1, p.alpha, p.switch_penalty,
        case when p.base_weight > 0 then t.base_id end as base_id,
        p.base_weight,
        coalesce(c.memories, 0) as memories,
        coalesce(c.tier, 0::smallint) as tier,
        c.prompt_tokens::double precision / nullif(c.memories, 0) as mean_prompt,
        p.n0 as token_n0,
        case when p.fit_n0 = 'on' then coalesce(f.n0, p.n0) else p.n0 end as n0,
        p.n2, p.ease, p.transfer as borrows,
        p.guess_task = 'always' or (p.guess_task = 'fit' and coalesce(f.guess, false)) as guesses,
        f.models as fitted, f.transfer,
        l.candidates
    from router.policies as p
    inner join router.tenants as t on t.tenant_id = p_tenant
    left join router.memory_counts as c on c.tenant_id = p_tenant and c.space_id = p_space
    left join router.fits as f
        on f.policy_id = p_policy and f.space_id = p_space and f.tenant_id = p_tenant
        and f.k = coalesce(p_k, p.k) and f.tau = coalesce(p_tau, p.tau)
        and c.memories between f.memories / 2 and f.memories * 2
    cross join lateral (
        select
            array_agg(v::router.candidate) as candidates
        from router.models as m
        inner join router_internal._prices(p_tenant) as o on o.model_id = m.model_id
        left join router.speeds as r on r.tenant_id = p_tenant and r.model_id = m.model_id
        left join router.priors as a
            on a.tenant_id = p_tenant and a.space_id = p_space and a.task_id = 0 and a.model_id = m.model_id
        cross join lateral (
            select
                m.model_id,
                o.input_price,
                coalesce(o.cached_input_price, o.input_price) as cached_input_price,
                o.output_price,
                coalesce(r.token_ratio, 1) as token_ratio,
                r.completion_tokens as ledger_tokens,
                coalesce(a.labels, 0) as labels,
                a.quality_sum, a.paired, a.paired_sum,
                0 as task_labels,
                null::double precision as task_sum,
                a.completions,
                a.completion_sum,
                p_models is null or m.model_id = any(p_models) or m.model_id = p_default as able,
                router_internal._prior(a.completion_sum, a.completions, 5, r.completion_tokens) as mean_tokens,
                null::double precision as prior_tokens,
                null::router.base_sums as lent
        ) as v
        where
            m.enabled
            -- An array; otherwise the plan reads every model.
            and m.model_id = any(p_default || array(
                select x.model_id from router.policy_models as x
                where x.tenant_id = p_tenant and x.policy_id = p_policy
            ))
    ) as l
    where p.tenant_id = p_tenant and p.policy_id = p_policy;
end;

comment on function router_internal._context is
'Return all that a decision reads before it searches neighbours: policy settings, memory size, fit and candidates.
Each candidate comes with the tenant''s prices, its label sums and the ledger''s token counts; able: it is p_default or
one of p_models (NULL: all are). base_id NULL: the policy uses no shared memory. fitted NULL: there is no usable fit.
p_k, p_tau: replace the policy''s. No row: the tenant has no such policy.';
