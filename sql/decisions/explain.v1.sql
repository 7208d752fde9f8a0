create function router.explain(
    p_tenant int,
    p_policy int,
    p_space smallint,
    p_embedding halfvec,
    p_task text,
    p_prompt_tokens int,
    p_default smallint,
    p_models smallint[] default null,
    p_alpha double precision default null,
    p_conversation bytea default null,
    p_continues boolean default false,
    p_random double precision default 1,
    p_now timestamptz default now(),
    p_k int default null,
    p_tau double precision default null
) returns table (
    model_id smallint, model text, reason router.reason, why text, score double precision, quality double precision,
    confidence double precision, labels int, support double precision, n0 double precision, prior double precision,
    base_support double precision, tenant_mean double precision, tenant_labels bigint, task_mean double precision,
    task_labels bigint,
    cost_usd double precision, unit_usd double precision, alpha double precision, penalty double precision,
    prompt_tokens double precision, cached_tokens double precision, completion_tokens double precision,
    input_price double precision, cached_input_price double precision, output_price double precision, priced_on date,
    k int, tau double precision, mean double precision, ease double precision, borrowed double precision,
    share double precision, guessed boolean
)
language plpgsql stable
as $$
declare
    v_context router.context;
begin
    perform router_internal._enter(p_tenant);
    select * into v_context
    from router_internal._context(p_tenant, p_policy, p_space, p_default, p_models, p_k, p_tau);
    return query
    with ranked as materialized (
        select d.*, m.name, o.priced_on
        from router.decide(
            p_tenant, p_policy, p_space, p_embedding, p_task, p_prompt_tokens, p_default, p_models, p_alpha,
            p_conversation, p_continues, p_random, p_now, v_context
        ) with ordinality as d
        inner join router.models as m on m.model_id = d.model_id
        inner join router_internal._prices(p_tenant) as o on o.model_id = d.model_id
    ),
    explained as (
        select router_internal._explanation(
            (array_agg(r.reason))[1], (array_agg(r.name order by r.ordinality))[1], array_agg(r.name order by r.ordinality),
            array_agg(r.quality order by r.ordinality), array_agg(r.cost_usd order by r.ordinality),
            array_agg(r.score order by r.ordinality), array_agg(r.confidence order by r.ordinality), min(r.alpha),
            case (array_agg(r.reason))[1]
                when 'cold' then case when max(p.backend) = 'knn'
                    then format('%s memories of %s', coalesce(max(c.memories), 0), greatest(max(p.seed_count), 1))
                    else 'no candidate''s speed is known'
                end
                when 'explore' then format('it has %s of %s', coalesce(max(a.labels), 0), max(p.explore_labels))
            end
        ) as why
        from ranked as r
        inner join router.policies as p on p.tenant_id = p_tenant and p.policy_id = p_policy
        left join router.memory_counts as c on c.tenant_id = p_tenant and c.space_id = p_space
        left join router.priors as a
            on a.tenant_id = p_tenant and a.space_id = p_space and a.task_id = 0 and a.model_id = r.model_id
            and r.ordinality = 1
    )
    select
        r.model_id, r.name, r.reason, s.why, r.score, r.quality, r.confidence, r.labels, r.support, r.n0, r.prior,
        r.base_support, a.quality_sum / nullif(a.labels, 0), coalesce(a.labels, 0)::bigint,
        k.quality_sum / nullif(k.labels, 0), coalesce(k.labels, 0)::bigint,
        r.cost_usd, r.unit_usd, r.alpha, r.penalty, r.prompt_tokens, r.cached_tokens, r.completion_tokens,
        r.input_price, r.cached_input_price, r.output_price, r.priced_on,
        v_context.k, v_context.tau, r.mean, r.ease, r.borrowed, r.share,
        p_task is null and p_embedding is not null and v_context.guesses
        and r.reason not in ('default', 'cold', 'sticky', 'cheapest', 'fastest', 'weighted')
    from ranked as r
    cross join explained as s
    left join router.tasks as t on t.tenant_id = p_tenant and t.name = p_task
    left join router.priors as a
        on a.tenant_id = p_tenant and a.space_id = p_space and a.task_id = 0 and a.model_id = r.model_id
    left join router.priors as k
        on k.tenant_id = p_tenant and k.space_id = p_space and k.task_id = t.task_id and k.model_id = r.model_id
    order by r.ordinality;
end;
$$;

comment on function router.explain is
'Return the decision that decide makes of the same arguments, with all its numbers and the reason in a sentence.
quality = (1 - share) direct + share (prior + borrowed), where direct = prior + ease + (sum of weight * (label - prior -
ease) over the neighbours) / (support + n0). mean: of the model''s labels, shrunk to that of all candidates; prior:
task_mean shrunk to mean, of the neighbours'' tasks if guessed; ease: how easy the prompt is by the labels of all
candidates; borrowed: what the other candidates'' labels say of this one, by the matrix in fits; confidence = support /
(support + n0); base_support: the part of support that comes from a shared memory; score = quality - alpha cost_usd /
unit_usd - penalty. Prices are USD per million tokens, as of priced_on. The function
evidence returns the neighbours. p_k, p_tau: replace the policy''s; k and tau are
those that were used. p_random = 1 (the default) explores nothing. Raises RT002 as decide does.';
