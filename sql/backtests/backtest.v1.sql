create function router.backtest(
    p_tenant int,
    p_policy int,
    p_space smallint,
    p_sample int default 500,
    p_alphas double precision[] default null,
    p_settings router.policy_settings default null,
    p_confidence double precision default 0.9,
    p_resamples int default 200,
    p_seconds double precision default 10,
    p_seed int default 0,
    p_now timestamptz default now()
) returns table (
    rule text, alpha double precision, model text, quality double precision, quality_low double precision,
    quality_high double precision, cost_usd double precision, blend_quality double precision, gain double precision,
    gain_low double precision, gain_high double precision, quality_ratio double precision,
    quality_ratio_low double precision, cost_ratio double precision, models text[], shares double precision[],
    "rows" int, skipped int, sampled boolean, in_use boolean
)
language plpgsql stable
as $$
declare
    v_setup record;
    v_trials router_internal.trial[];
    v_fits router_internal.fit[];
begin
    perform router_internal._enter(p_tenant);
    if p_alphas is not null and (0 <= all(p_alphas) and 100 >= all(p_alphas)) is not true then
        raise exception 'alphas must be from 0 to 100' using errcode = '22023', column = 'alphas';
    elsif (p_resamples between 20 and 10000) is not true then
        raise exception 'resamples must be from 20 to 10000, not %', p_resamples
            using errcode = '22023', column = 'resamples';
    end if;
    select * into v_setup from router_internal._setup(
        p_tenant, p_policy, p_space, p_settings, p_sample, p_confidence, p_seconds
    );
    v_trials := array(
        select t
        from router_internal._trials(
            p_tenant, p_space, v_setup.models, v_setup.ledger_tokens, array[v_setup.k], array[v_setup.tau],
            v_setup.rule, v_setup.base, v_setup.base_weight, v_setup.seed_count, p_sample, p_seconds, p_seed
        ) as t
    );
    v_fits := router_internal._cross_fits(v_trials, v_setup.rule, cardinality(v_setup.models));
    return query
    with curve as materialized (
        select c.*
        from router_internal._curve(
            v_trials, v_setup.input, v_setup.output, v_setup.ratio, v_setup.rule, v_fits, v_setup.floor,
            v_setup.default_position, router_internal._alphas(p_alphas, v_setup.alpha), p_confidence, p_resamples, p_seed
        ) as c
    ),
    named as (
        select c.*, c.kind as name, case c.kind when 'policy' then 1 when 'always' then 2 else 6 end as place
        from curve as c
        union all
        (
            select c.*, 'cheapest', 3 from curve as c where c.kind = 'always'
            order by c.cost_usd, c.quality desc limit 1
        )
        union all
        (select c.*, 'default', 4 from curve as c where c.model = v_setup.default_position)
        union all
        (
            select c.*, 'best_single', 5 from curve as c where c.kind = 'always'
            order by c.quality desc, c.cost_usd limit 1
        )
    )
    select
        n.name, n.alpha, v_setup.names[n.model], n.quality, n.quality_low, n.quality_high, n.cost_usd, n.blend_quality,
        n.gain, n.gain_low, n.gain_high, n.quality_ratio, n.quality_ratio_low, n.cost_ratio, v_setup.names, n.shares,
        n.trials, v_setup.memories - v_setup.labelled, n.trials < v_setup.labelled,
        coalesce(n.alpha = v_setup.alpha, false)
    from named as n
    order by n.place, n.alpha, n.cost_usd;
end;
$$;

comment on function router.backtest is
'Estimate from the memory itself what a policy would cost and achieve, at each alpha, beside simpler rules.
Each of p_sample memories is decided for as if the memory did not hold it. The other rules: every single model
(always), the cheapest, the default, the best of them, and an oracle that knows the labels. Reads only. Values are
means per request over the same rows. blend_quality: the best mixture of single models at that cost; _low and _high:
bootstrap bounds at p_confidence. skipped: memories that do not label every candidate; sampled: more could have been
used. p_settings overrides the policy''s; after p_seconds no more rows are taken. Raises RT002, RT003 for a disabled
default model, RT004 for a candidate without a price, RT010 if too few memories label every candidate, and 22023 for an
argument out of range.';
