create function router_internal._with_quality(
    p_estimates router.estimate[], p_unit double precision, p_context router.context,
    p_candidates router.candidate[], p_support double precision[], p_weighted double precision[],
    p_guesses router_internal.guess[]
) returns router.estimate[]
language plpgsql immutable
as $$
declare
    v_estimates router.estimate[] := p_estimates;
    v_models smallint[];
    v_means double precision[];
    v_priors double precision[];
    v_excess double precision[];
    v_sum double precision := 0;
    v_weight double precision := 0;
    v_labels double precision := 0;
    v_common double precision;
    v_support double precision := 0;
    v_ease double precision := 0;
    v_share double precision := 0;
    v_size int;
    v_at int;
    v_column int;
    v_total double precision;
    -- Records, because static checkers read this file without the types.
    c record;
    e record;
begin
    -- 1. What all candidates have in common
    foreach c in array p_candidates loop
        if c.labels > 0 and c.labels + p_context.n2 > 0 then
            v_sum := v_sum + c.quality_sum / (c.labels + p_context.n2);
            v_weight := v_weight + c.labels / (c.labels + p_context.n2);
            v_labels := v_labels + c.labels;
        end if;
    end loop;
    if v_weight > 0 then
        v_common := v_sum / v_weight;
    end if;

    -- 2. The prior of each, and how far the neighbours' labels are from it
    v_at := 0;
    v_sum := 0;
    foreach c in array p_candidates loop
        v_at := v_at + 1;
        v_models[v_at] := c.model_id;
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
            v_excess[v_at] := coalesce(p_weighted[v_at] - v_priors[v_at] * p_support[v_at], 0);
            v_sum := v_sum + v_excess[v_at];
            v_support := v_support + coalesce(p_support[v_at], 0);
        end if;
    end loop;

    -- 3. How easy the prompt is, and what the candidates' labels say of each other
    if p_context.ease < 'infinity' then
        v_ease := v_sum / (
            v_support + p_context.ease * greatest(v_labels / nullif(p_context.memories, 0), 1)
        );
    end if;
    if p_context.borrows > 0 and p_context.transfer is not null and v_models <@ p_context.fitted then
        v_share := p_context.borrows * v_labels / (v_labels + 300 * v_at);
        v_size := cardinality(p_context.fitted);
    end if;
    for i in 1..coalesce(cardinality(v_estimates), 0) loop
        e := v_estimates[i];
        v_at := array_position(v_models, e.model_id);
        c := p_candidates[v_at];
        e.mean := v_means[v_at];
        e.prior := v_priors[v_at];
        e.n0 := case when c.task_labels > 0 or p_guesses is not null then p_context.n0_task else p_context.n0 end;
        e.confidence := case when e.support > 0 then e.support / (e.support + e.n0) else 0 end;
        e.ease := v_ease;
        e.share := v_share;
        e.quality := e.prior + v_ease;
        if e.support + e.n0 > 0 then
            e.quality := e.quality + (v_excess[v_at] - v_ease * e.support) / (e.support + e.n0);
        end if;
        if v_share > 0 then
            v_column := array_position(p_context.fitted, e.model_id);
            v_total := 0;
            for j in 1..cardinality(v_models) loop
                v_total := v_total + v_excess[j] / (coalesce(p_support[j], 0) + 2) * p_context.transfer[
                    (array_position(p_context.fitted, v_models[j]) - 1) * v_size + v_column
                ];
            end loop;
            e.borrowed := v_total;
            e.quality := (1 - v_share) * e.quality + v_share * (e.prior + v_total);
        end if;
        e.unit_usd := p_unit;
        e.score := e.quality - e.alpha * coalesce(e.cost_usd / nullif(p_unit, 0), 0) - e.penalty;
        v_estimates[i] := e;
    end loop;
    return v_estimates;
end;
$$;

comment on function router_internal._with_quality is
'Return the estimates of a prompt with quality and score, and the parts of quality: mean, prior, ease and borrowed.
p_support, p_weighted: sum of weights and of weighted labels over the neighbours, by candidate; p_guesses: the result of
_guessed_tasks, NULL: no task is guessed. p_unit: cost of the dearest candidate for an average prompt, USD.';
