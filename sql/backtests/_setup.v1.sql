create function router_internal._setup(
    p_tenant int, p_policy int, p_space smallint, p_settings router.policy_settings, p_sample int,
    p_confidence double precision, p_seconds double precision
) returns table (
    alpha double precision, k int, tau double precision, rule router_internal.rule, floor double precision,
    default_position int, models smallint[], names text[],
    input double precision[], output double precision[], ratio double precision[], ledger_tokens double precision[],
    base int, base_weight double precision, seed_count int, memories int, labelled int
)
language plpgsql stable
as $$
declare
    -- The fewest rows from which a backtest is meaningful.
    v_needed constant int := 30;
    v_unpriced text;
begin
    -- `is not true`, because NULL is wrong as well.
    if (p_sample between v_needed and 16000) is not true then
        raise exception 'the sample must be from % to 16000 rows, not %', v_needed, p_sample
            using errcode = '22023', column = 'sample';
    elsif (p_confidence > 0 and p_confidence < 1) is not true then
        raise exception 'the confidence must be above 0 and below 1, not %', p_confidence
            using errcode = '22023', column = 'confidence';
    elsif (p_seconds between 0 and 86400) is not true then
        raise exception 'the seconds must be from 0 to 86400, not %', p_seconds using errcode = '22023', column = 'seconds';
    end if;
    select
        coalesce((p_settings).alpha, p.alpha), coalesce((p_settings).k, p.k), coalesce((p_settings).tau, p.tau),
        coalesce((p_settings).confidence_floor, p.confidence_floor), c.default_position, c.models, c.names, c.input,
        c.output, c.ratio, c.ledger_tokens, case when p.base_weight > 0 then t.base_id end, p.base_weight, greatest(p.seed_count, 1), c.unpriced
    into
        alpha, k, tau, floor, default_position, models, names, input, output, ratio, ledger_tokens,
        base, base_weight, seed_count, v_unpriced
    from router.policies as p
    inner join router.tenants as t on t.tenant_id = p_tenant
    cross join lateral (
        select
            array_position(array_agg(o.model_id order by o.model_id), p.default_model) as default_position,
            array_agg(o.model_id order by o.model_id) as models,
            array_agg(o.name order by o.model_id) as names,
            array_agg(o.input_price order by o.model_id) as input,
            array_agg(o.output_price order by o.model_id) as output,
            array_agg(o.token_ratio order by o.model_id) as ratio,
            array_agg(o.ledger_tokens order by o.model_id) as ledger_tokens,
            min(o.name) filter (where o.input_price is null or o.output_price is null) as unpriced
        from router_internal._candidates(p_tenant, p_policy) as o
    ) as c
    where p.tenant_id = p_tenant and p.policy_id = p_policy;
    rule := router_internal._rule(p_tenant, p_policy, p_space, models, p_settings);
    if alpha is null then
        raise exception 'tenant % has no policy %', p_tenant, p_policy using errcode = 'RT002';
    elsif v_unpriced is not null then
        raise exception 'model % has no price, so its cost cannot be weighed', v_unpriced
            using errcode = 'RT004', column = 'models';
    elsif not (
        alpha between 0 and 100 and k between 1 and 1000 and tau between 0.0001 and 'infinity'
        and 0 <= least(rule.n0, rule.n0_task, rule.n1, rule.n2)
        and greatest(rule.n0, rule.n0_task, rule.n1, rule.n2) <= 1000000 and floor between 0 and 1
        and rule.ease_support >= 0.0001 and rule.share between 0 and 1
    ) then
        raise exception 'settings must be in range: alpha 0 to 100, k 1 to 1000, tau and ease from 0.0001, n0, n0_task, n1 '
            'and n2 0 to 1000000, confidence_floor and transfer 0 to 1' using errcode = '22023', column = 'settings';
    elsif default_position is null then
        raise exception 'the default model of policy % is disabled', p_policy using errcode = 'RT003', column = 'models';
    end if;
    select
        count(*), count(*) filter (
            where not exists (select from unnest(_setup.models) as c (model_id) where m.quality[c.model_id] is null)
        )
    into memories, labelled
    from router.memories as m
    where m.tenant_id = p_tenant and m.space_id = p_space;
    if labelled < v_needed then
        raise exception '% of % memories label every candidate, % are needed', labelled, memories, v_needed
            using errcode = 'RT010', hint = format('The candidates are %s.', array_to_string(names, ', '));
    end if;
    return next;
end;
$$;

comment on function router_internal._setup is
'Return what a backtest starts from: settings, candidates by position, and how many memories can be used.
p_settings overrides the policy''s settings. memories: all in this space; labelled: those that label every candidate.
Raises RT002, RT003 for a disabled default model, RT004, RT010, and 22023 for an argument out of range.';
