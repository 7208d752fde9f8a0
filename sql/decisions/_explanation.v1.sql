create function router_internal._explanation(
    p_reason router.reason,
    p_served text,
    p_models text[],
    p_quality double precision[],
    p_cost_usd double precision[],
    p_score double precision[],
    p_confidences double precision[],
    p_alpha double precision,
    p_detail text default null
) returns text
language plpgsql immutable
as $$
declare
    v_first record;
    v_best record;
    v_other record;
begin
    if p_reason = 'unpriced' then
        return (
            select format('no price is known of %s, so costs cannot be compared', string_agg(c.model, ' and ' order by c.model))
            from unnest(p_models, p_cost_usd) as c (model, cost)
            where c.cost is null
        );
    elsif p_reason = 'low_support' then
        -- A decline ranks the default first; the scores show which candidate would have won.
        select c.* into v_best
        from unnest(p_models, p_score, p_confidences) as c (model, score, confidence)
        order by c.score desc nulls last
        limit 1;
        return case
            when p_score[1] is null then format('no label gives the quality of %s, the default to compare with', p_models[1])
            when v_best.confidence = 0 then format('%s scores best, but no neighbour has a label of it', v_best.model)
            else format(
                '%s scores best, but %s of that estimate comes from neighbours, less than the policy asks for',
                v_best.model, round(v_best.confidence::numeric, 2)
            )
        end;
    elsif p_reason not in ('learned', 'cheapest') then
        return case p_reason
            when 'sticky' then format('the conversation is with %s already', p_served)
            when 'cold' then format('%s: %s serves until there is more', coalesce(p_detail, 'too little was taught'), p_served)
            when 'no_signal' then format('there is no text to go by: %s serves', p_served)
            when 'explore' then format('%s is short of labels%s, so that it is given a few requests', p_served, ' (' || p_detail || ')')
            when 'single_candidate' then format('%s is the only candidate', p_served)
            when 'capability' then format('only %s is known to do what the request needs', p_served)
            when 'default' then format('the policy always serves %s', p_served)
            when 'fastest' then format('%s was the first to answer lately', p_served)
            when 'weighted' then format('%s was drawn, by the policy''s weights', p_served)
            when 'fallback' then format('a better ranked model failed: %s answered', p_served)
            when 'off' then 'routing was not asked for'
            when 'embedding_failed' then format('the prompt could not be embedded: %s serves', p_served)
            else format('Postgres did not answer in time: %s serves', p_served)
        end;
    end if;
    -- The first, and its strongest rival: the best of those with higher quality, else the next.
    for v_other in
        select c.*, format('%s: %s expected at $%s', c.model, round(c.quality::numeric, 2), round(
            c.cost::numeric, case when c.cost > 0 then greatest(1 - floor(log(c.cost))::int, 0) else 0 end
        )) as summary
        from unnest(p_models, p_quality, p_cost_usd) with ordinality as c (model, quality, cost, position)
        where c.quality is not null or p_reason = 'cheapest' or c.position = 1
        order by c.position = 1 desc, c.quality > p_quality[1] desc nulls last,
            case when c.quality > p_quality[1] then c.quality end desc, c.position
        limit 2
    loop
        if v_first is null then
            v_first := v_other;
        else
            v_best := v_other;
        end if;
    end loop;
    if v_first is null or p_reason = 'cheapest' then
        return format('%s %s', p_served, case when p_reason = 'cheapest' then 'is expected to cost least' else 'scores best' end);
    elsif v_best is null then
        return format('%s; no other candidate has labels', v_first.summary);
    end if;
    return format('%s, %s; %s', v_first.summary, v_best.summary, case
        when v_best.quality > v_first.quality and v_best.cost > v_first.cost
            then format('at alpha %s the difference is not worth its cost', p_alpha)
        when v_best.quality > v_first.quality then 'it is not worth leaving the conversation''s model'
        when v_best.quality = v_first.quality then 'it is as good'
        when v_best.cost < v_first.cost then format('at alpha %s the difference is worth its cost', p_alpha)
        else 'it is better and no dearer'
    end);
end;
$$;

comment on function router_internal._explanation is
'Return the reason of a decision as a sentence.
The arrays are in the order of the ranking, NULL if there is none. p_detail: which data is missing, if known.';
