create function router.decide(
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
    p_now timestamptz default now()
) returns table (
    model_id smallint, reason router.reason, confidence double precision, quality double precision,
    cost_usd double precision, score double precision, labels int,
    support double precision, prior double precision, n0 double precision,
    prompt_tokens double precision, cached_tokens double precision, completion_tokens double precision,
    input_price double precision, cached_input_price double precision, output_price double precision,
    unit_usd double precision, alpha double precision, penalty double precision, base_support double precision
)
language plpgsql stable
as $$
declare
    v_policy record;
    v_reason router.reason;
    v_explores boolean;
    v_current smallint;
    v_cached int;
    v_models smallint[];
    v_keys double precision[];
    v_base router.base_sums[];
begin
    perform router._enter(p_tenant);
    select
        p.backend, p.granularity, p.seed_count, p.confidence_floor, p.explore_share, p.explore_labels,
        p.k, p.tau, case when p.base_weight > 0 then t.base_id end as base_id, coalesce(c.memories, 0) as memories
    into v_policy
    from router.policies as p
    inner join router.tenants as t on t.tenant_id = p_tenant
    left join router.memory_counts as c on c.tenant_id = p_tenant and c.space_id = p_space
    where p.tenant_id = p_tenant and p.policy_id = p_policy;
    if not found then
        raise exception 'tenant % has no policy %', p_tenant, p_policy using errcode = 'RT002';
    end if;
    if p_conversation is not null and p_continues then
        -- Providers keep a prefix for five to ten minutes after its last use.
        select c.model_id, case when c.updated_at > p_now - interval '10 minutes' then c.prompt_tokens else 0 end
        into v_current, v_cached
        from router.conversations as c
        where
            c.tenant_id = p_tenant and c.policy_id = p_policy and c.conversation = p_conversation
            and c.expires_at > p_now
            and (
                c.model_id = p_default or (
                    (p_models is null or c.model_id = any(p_models))
                    and exists (
                        select from router.policy_models as m
                        where m.tenant_id = p_tenant and m.policy_id = p_policy and m.model_id = c.model_id
                    )
                )
            );
    end if;
    if v_policy.base_id is not null and v_policy.backend = 'knn' and (
        v_current is null or v_policy.granularity <> 'conversation'
    ) then
        v_base := router._lean(
            p_tenant, v_policy.base_id, p_space, p_embedding, v_policy.k, v_policy.tau,
            greatest(v_policy.seed_count, 1)
        );
    end if;
    v_reason := case
        when v_policy.backend = 'none' then 'default'
        when v_current is not null and v_policy.granularity = 'conversation' then 'sticky'
        when v_policy.backend <> 'knn' then v_policy.backend::text
        when v_policy.memories < greatest(v_policy.seed_count, 1) and v_base is null then 'cold'
        when p_embedding is null then 'no_signal'
        else 'learned'
    end;
    v_explores := v_reason = 'learned' and not p_continues and p_random < v_policy.explore_share;

    -- Apart from the ranking, where they would cost every decision the opening of two more tables.
    if v_reason = 'fastest' then
        select array_agg(f.model_id), array_agg(-f.first_token_ms) into v_models, v_keys
        from router.speeds as f
        where f.tenant_id = p_tenant;
    elsif v_reason = 'weighted' then
        -- Efraimidis and Spirakis: the largest u^(1/w) is a draw by weight; its logarithm, for small weights.
        select
            array_agg(w.model_id),
            array_agg(ln(
                ((hashint8extended(w.model_id, (p_random * 1e15)::bigint) & 1073741823) + 0.5)::float8 / 1073741824
            ) / w.weight::float8)
        into v_models, v_keys
        from router.policy_models as w
        where w.tenant_id = p_tenant and w.policy_id = p_policy and w.weight > 0;
    end if;

    return query
    with keyed as materialized (
        -- The key of the order, highest first; NULL when this candidate cannot be ranked by the policy's backend.
        select e.*, case v_reason
            when 'learned' then e.score
            when 'cheapest' then -e.cost_usd
            when 'fastest' then v_keys[array_position(v_models, e.model_id)]
            when 'weighted' then v_keys[array_position(v_models, e.model_id)]
            when 'sticky' then (e.model_id = v_current)::int
        end as key,
        -- Lowest for the least labelled; among equals it is a draw.
        case when v_explores and e.known < v_policy.explore_labels then
            e.known + (hashint8extended(e.model_id, (p_random * 1e15)::bigint) & 1073741823)::float8 / 1073741824
        end as novelty
        from router.estimates(
            p_tenant, p_policy, p_space, case when v_reason = 'learned' then p_embedding end, p_task, p_prompt_tokens,
            p_default, p_models, p_alpha, v_current, coalesce(v_cached, 0), v_base
        ) as e
    ),
    judged as (
        select case
            when v_reason in ('default', 'cold', 'no_signal', 'sticky') then v_reason
            when count(*) = 1 then 'single_candidate'
            when v_reason in ('learned', 'cheapest') and bool_or(k.cost_usd is null) then 'unpriced'
            when v_reason = 'fastest' and bool_and(k.key is null) then 'cold'
            when bool_or(k.novelty is not null) then 'explore'
            when v_reason = 'learned' and (
                bool_or(k.model_id = p_default and k.quality is null)
                or (array_agg(
                    k.confidence < v_policy.confidence_floor or k.labels = 0
                    order by k.key desc nulls last, k.cost_usd
                ))[1]
            ) then 'low_support'
            else v_reason
        end as reason,
        min(k.novelty) as novelty
        from keyed as k
    )
    select
        k.model_id, j.reason, k.confidence, k.quality, k.cost_usd, k.score, k.labels::int, k.support, k.prior, k.n0,
        k.prompt_tokens, k.cached_tokens, k.completion_tokens, k.input_price, k.cached_input_price, k.output_price,
        k.unit_usd, k.alpha, k.penalty, k.base_support
    from keyed as k
    cross join judged as j
    order by
        case when j.reason in ('learned', 'sticky', 'cheapest', 'fastest', 'weighted', 'explore') then 0
            else (k.model_id = p_default)::int end desc,
        j.reason = 'explore' and k.novelty is not distinct from j.novelty desc,
        case when j.reason = v_reason then k.key end desc nulls last,
        k.score desc nulls last,
        k.cost_usd,
        k.model_id;
end;
$$;

comment on function router.decide is
'Which model serves a prompt: the candidates best first, with the one reason of the decision on every row, and what each
score was made of, as estimates has it. Only reads.
Declines put p_default first: cold (fewer memories than seed_count, and no shared memory to lean on that has as many),
no_signal, low_support, unpriced, default.
p_prompt_tokens: tokens of the request, estimated. p_models: candidates that can serve it, NULL: all. p_conversation: 16
bytes, with p_continues when the request already holds an answer. p_random: 0 to 1, for `weighted`; below the policy''s
explore_share the candidate with the fewest labels is first (explore). Raises RT002 for an unknown policy.';
