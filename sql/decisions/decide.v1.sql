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
    p_now timestamptz default now(),
    p_context router.context default null
) returns table (
    model_id smallint, reason router.reason, confidence double precision, quality double precision,
    cost_usd double precision, score double precision, labels int,
    support double precision, prior double precision, n0 double precision,
    prompt_tokens double precision, cached_tokens double precision, completion_tokens double precision,
    input_price double precision, cached_input_price double precision, output_price double precision,
    unit_usd double precision, alpha double precision, penalty double precision, base_support double precision,
    mean double precision, ease double precision, borrowed double precision, share double precision
)
language plpgsql stable
as $$
declare
    -- An assignment, because PERFORM would start an executor.
    v_entered constant text := router_internal._enter(p_tenant);
    v_context router.context := p_context;
    -- The rule that applies, and the reason that is reported.
    v_rule router.reason;
    v_reason router.reason;
    v_explores boolean := false;
    v_near p_embedding%type;
    v_current smallint;
    v_cached int;
    v_base router.base_sums[];
    v_candidates router.candidate[];
    v_estimates router.estimate[];
    v_best router.estimate;
    e router.estimate;
    v_unpriced boolean := false;
    v_unknown boolean := false;
    v_explored smallint;
    v_keys double precision[];
    v_first smallint;
begin
    -- 1. The policy, the size of the memory and the candidates
    if v_context is null then
        select * into v_context from router_internal._context(p_tenant, p_policy, p_space, p_default, p_models);
    end if;
    if v_context.backend is null then
        raise exception 'tenant % has no policy %', p_tenant, p_policy using errcode = 'RT002';
    end if;

    -- 2. Which conversation
    if p_conversation is not null and p_continues then
        select c.model_id, c.cached_tokens into v_current, v_cached
        from router_internal._conversation(p_tenant, p_policy, p_conversation, p_default, p_models, p_now) as c;
    end if;

    -- 3. Which shared memory
    if v_context.base_id is not null and v_context.backend = 'knn' and (
        v_current is null or v_context.granularity <> 'conversation'
    ) then
        v_base := router_internal._base_sums(
            p_tenant, v_context.base_id, p_space, p_embedding, v_context.k, v_context.tau,
            greatest(v_context.seed_count, 1)
        );
    end if;

    -- 4. Which rule applies
    if v_context.backend = 'none' then
        v_rule := 'default';
    elsif v_current is not null and v_context.granularity = 'conversation' then
        v_rule := 'sticky';
    elsif v_context.backend <> 'knn' then
        v_rule := v_context.backend::text;
    elsif v_base is null and v_context.memories < greatest(v_context.seed_count, 1) then
        v_rule := 'cold';
    elsif p_embedding is null then
        v_rule := 'no_signal';
    else
        v_rule := 'learned';
        v_near := p_embedding;
        v_explores := p_random < v_context.explore_share and not p_continues;
    end if;

    -- 5. What is expected of each candidate
    v_candidates := v_context.candidates;
    if p_task is not null or v_base is not null then
        v_candidates := router_internal._with_task_and_base(p_tenant, p_space, v_context, p_task, v_base);
    end if;
    v_estimates := router_internal._estimates(
        p_tenant, p_space, v_context, v_candidates, v_near, p_prompt_tokens, p_alpha, v_current, coalesce(v_cached, 0),
        p_task is null and v_context.guesses and v_near is not null
    );
    foreach e in array coalesce(v_estimates, '{}') loop
        if e.cost_usd is null then
            v_unpriced := true;
        end if;
        if e.quality is null and e.model_id = p_default then
            v_unknown := true;
        end if;
        if
            v_best.score is null or e.score > v_best.score
            or (e.score = v_best.score and e.cost_usd < v_best.cost_usd)
        then
            v_best := e;
        end if;
    end loop;
    if v_explores then
        -- The candidate with the fewest labels; p_random draws among equals.
        select f.model_id into v_explored
        from unnest(v_estimates) as f
        where f.known < v_context.explore_labels
        order by f.known + (hashint8extended(f.model_id, (p_random * 1e15)::bigint) & 1073741823)::float8 / 1073741824
        limit 1;
    end if;
    if v_rule <> 'learned' then
        v_keys := router_internal._sort_keys(p_tenant, p_policy, v_rule, v_estimates, v_current, p_random);
    end if;

    -- 6. Which reason is reported
    if v_rule in ('default', 'cold', 'no_signal', 'sticky') then
        v_reason := v_rule;
    elsif cardinality(v_estimates) = 1 then
        v_reason := 'single_candidate';
    elsif v_unpriced and v_rule in ('learned', 'cheapest') then
        v_reason := 'unpriced';
    elsif v_rule = 'fastest' and array_remove(v_keys, null) = '{}' then
        v_reason := 'cold';
    elsif v_explored is not null then
        v_reason := 'explore';
    elsif v_rule = 'learned' and (v_unknown or v_best.confidence < v_context.confidence_floor) then
        v_reason := 'low_support';
    else
        v_reason := v_rule;
    end if;
    if v_reason = 'explore' then
        v_first := v_explored;
    elsif v_reason not in ('learned', 'sticky', 'cheapest', 'fastest', 'weighted') then
        v_first := p_default;
    end if;

    -- 7. The ranking
    return query
    select
        k.model_id, v_reason, k.confidence, k.quality, k.cost_usd, k.score, k.labels::int, k.support, k.prior, k.n0,
        k.prompt_tokens, k.cached_tokens, k.completion_tokens, k.input_price, k.cached_input_price, k.output_price,
        k.unit_usd, k.alpha, k.penalty, k.base_support, k.mean, k.ease, k.borrowed, k.share
    from unnest(v_estimates) with ordinality as k
    order by
        k.model_id is not distinct from v_first desc,
        case when v_reason = v_rule then v_keys[k.ordinality] end desc nulls last,
        k.score desc nulls last,
        k.cost_usd,
        k.model_id;
end;
$$;

comment on function router.decide is
'Rank the candidates of a policy for one prompt, best first, with the reason of the decision on every row.
The other columns are what each score is made of, as in estimates. Reads only. p_embedding: of the prompt; NULL: there
is none. p_task: task tag or NULL. p_prompt_tokens: estimated tokens of the request. p_default: the default model,
always a candidate. p_models: the models that support the request; NULL: all. p_alpha: overrides the policy''s.
p_conversation: 16 bytes; p_continues: the request already holds an answer. p_random: from 0 to 1, for weighted; if it
is below the policy''s explore_share, the candidate with the fewest labels is first (explore). p_context: the row that
_context returns for the same arguments, if the caller has it already. A declined decision ranks p_default first: cold
(fewer memories than seed_count, also in a shared memory), no_signal, low_support, unpriced, default. Raises RT002 for
an unknown policy.';
