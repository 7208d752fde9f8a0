create function router_internal._estimated(
    p_context router.context, p_candidates router.candidate[], p_labels bigint[], p_support double precision[],
    p_quality double precision[], p_token_support double precision[], p_tokens double precision[],
    p_guesses router_internal.guess[], p_prompt_tokens int, p_alpha double precision, p_current smallint,
    p_cached_tokens int
) returns router.estimate[]
language plpgsql immutable
as $$
declare
    v_found router.estimate[] := '{}';
    v_mean_prompt constant double precision := coalesce(p_context.mean_prompt, p_prompt_tokens);
    v_models smallint[];
    v_support double precision[];
    v_priors double precision[];
    v_means double precision[];
    v_excess double precision[];
    v_tokens double precision[];
    v_sum double precision := 0;
    v_weight double precision := 0;
    v_labels double precision := 0;
    v_common double precision;
    v_total double precision := 0;
    v_lengths double precision := 0;
    v_known int := 0;
    v_ease double precision := 0;
    v_share double precision := 0;
    v_unit double precision;
    v_at int := 0;
    -- Records, because static checkers read this file without the types.
    c record;
    e record;
begin
    -- 1. What all candidates have in common
    foreach c in array coalesce(p_candidates, '{}') loop
        if c.labels > 0 then
            v_sum := v_sum + c.quality_sum / (c.labels + p_context.n2);
            v_weight := v_weight + c.labels / (c.labels + p_context.n2);
            v_labels := v_labels + c.labels;
        end if;
    end loop;
    if v_weight > 0 then
        v_common := v_sum / v_weight;
    end if;

    -- 2. The prior of each, how far the neighbours' labels are from it, and the length of its answer
    v_sum := 0;
    foreach c in array coalesce(p_candidates, '{}') loop
        v_at := v_at + 1;
        v_models[v_at] := c.model_id;
        v_support[v_at] := coalesce(p_support[v_at], 0) + coalesce((c.lent).support, 0);
        v_means[v_at] := case when c.labels > 0 or (c.lent).mean_quality is not null then router_internal._mean(
            c.labels, c.quality_sum, c.paired, c.paired_sum, p_context.n2, coalesce((c.lent).mean_quality, v_common)
        ) end;
        v_priors[v_at] := case
            when p_guesses is not null
                then v_means[v_at] * (1 - p_guesses[v_at].share) + p_guesses[v_at].quality
            when c.task_labels > 0
                then (c.task_sum + p_context.n1 * v_means[v_at]) / (c.task_labels + p_context.n1)
            else v_means[v_at]
        end;
        v_excess[v_at] := 0;
        if v_priors[v_at] is not null then
            v_excess[v_at] := coalesce(p_quality[v_at], 0) + coalesce((c.lent).quality_sum, 0)
                - v_priors[v_at] * v_support[v_at];
            v_sum := v_sum + v_excess[v_at];
            v_total := v_total + v_support[v_at];
        end if;
        v_tokens[v_at] := router_internal._blend(
            router_internal._add_known(p_tokens[v_at], (c.lent).token_sum),
            router_internal._add_known(p_token_support[v_at], (c.lent).token_support),
            case when c.task_labels > 0 then p_context.n0_task else p_context.token_n0 end,
            coalesce(c.prior_tokens, c.mean_tokens)
        );
        if c.able and v_tokens[v_at] is not null then
            v_lengths := v_lengths + v_tokens[v_at];
            v_known := v_known + 1;
        end if;
    end loop;

    -- 3. How easy the prompt is, and what the candidates' labels say of each other
    if p_context.ease < 'infinity' then
        v_ease := v_sum / (v_total + p_context.ease * greatest(v_labels / nullif(p_context.memories, 0), 1));
    end if;
    if p_context.borrows > 0 and p_context.transfer is not null and v_models <@ p_context.fitted then
        v_share := p_context.borrows * v_labels / (v_labels + 300 * v_at);
    end if;

    -- 4. Quality and cost of each
    for i in 1..v_at loop
        c := p_candidates[i];
        continue when not c.able;
        -- One value for each attribute of the type, in its order; what follows sets those that are NULL.
        e := (
            c.model_id, null, coalesce(p_labels[i], 0) + coalesce((c.lent).labels, 0), null, null, null, null,
            v_support[i], v_priors[i],
            case when c.task_labels > 0 or p_guesses is not null then p_context.n0_task else p_context.n0 end,
            c.labels, p_prompt_tokens * c.token_ratio,
            case when c.model_id = p_current then least(p_cached_tokens, p_prompt_tokens * c.token_ratio) else 0 end,
            c.input_price, c.cached_input_price, c.output_price, null, p_alpha,
            case when c.model_id <> p_current then p_context.switch_penalty else 0 end,
            coalesce((c.lent).support, 0), v_means[i], v_ease, null, v_share
        )::router.estimate;
        e.confidence := case when e.support > 0 then e.support / (e.support + e.n0) else 0 end;
        e.quality := e.prior + v_ease;
        if e.support + e.n0 > 0 then
            e.quality := e.quality + (v_excess[i] - v_ease * e.support) / (e.support + e.n0);
        end if;
        if v_share > 0 then
            e.borrowed := router_internal._borrowed(
                p_context.fitted, p_context.transfer, v_models, v_support, v_excess, c.model_id
            );
            e.quality := (1 - v_share) * e.quality + v_share * (e.prior + e.borrowed);
        end if;
        -- Of an answer of unknown length: the mean of the others', or 256 tokens if none is known.
        e.completion_tokens := coalesce(v_tokens[i], v_lengths / nullif(v_known, 0), 256);
        e.cost_usd := (
            (e.prompt_tokens - e.cached_tokens) * e.input_price + e.cached_tokens * e.cached_input_price
            + e.completion_tokens * e.output_price
        ) / 1e6;
        -- The cost of the dearest candidate for the tenant's average prompt. The maximum of each request would hide
        -- that a long prompt costs more than a short one, and so where most can be saved.
        v_unit := greatest(v_unit, (
            v_mean_prompt * c.token_ratio * c.input_price
            + coalesce(c.mean_tokens, e.completion_tokens) * c.output_price
        ) / 1e6);
        v_found := v_found || e;
    end loop;
    for i in 1..cardinality(v_found) loop
        e := v_found[i];
        e.unit_usd := v_unit;
        e.score := e.quality - p_alpha * coalesce(e.cost_usd / nullif(v_unit, 0), 0) - e.penalty;
        v_found[i] := e;
    end loop;
    return v_found;
end;
$$;

comment on function router_internal._estimated is
'Return the estimates of a prompt from sums over its neighbours, by candidate: labels, weights and weighted labels.
p_guesses: the result of _guessed_tasks; NULL: no task is guessed. The other arguments are those of _estimates.';
