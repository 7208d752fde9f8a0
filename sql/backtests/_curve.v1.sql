create function router_internal._curve(
    p_trials router_internal.trial[],
    p_input double precision[],
    p_output double precision[],
    p_ratio double precision[],
    p_rule router_internal.rule,
    p_fits router_internal.fit[],
    p_floor double precision,
    p_default int,
    p_alphas double precision[],
    p_confidence double precision,
    p_resamples int,
    p_seed int
) returns table (
    kind text, alpha double precision, model int, quality double precision, quality_low double precision,
    quality_high double precision, cost_usd double precision, blend_quality double precision, gain double precision,
    gain_low double precision, gain_high double precision, quality_ratio double precision,
    quality_ratio_low double precision, cost_ratio double precision, shares double precision[], trials int
)
language sql stable
-- The planner does not know how long arrays are, and would assume few rows.
set enable_nestloop = off
begin atomic
    with judged as materialized (
        select j.* from router_internal._outcomes(p_trials, p_input, p_output, p_ratio, p_rule, p_fits) as j
    ),
    chosen as (
        select 'policy' as kind, p.turn as number, p.row_number, p.model, p.quality, p.cost_usd
        from router_internal._choices(
            p_trials, p_input, p_output, p_ratio, p_rule, p_fits, p_floor, p_default, p_alphas
        ) as p
        union all
        select 'always', j.model, j.row_number, j.model, j.quality, j.cost_usd
        from judged as j
        union all
        (
            select distinct on (j.row_number) 'oracle', 1, j.row_number, j.model, j.quality, j.cost_usd
            from judged as j
            order by j.row_number, j.quality desc, j.cost_usd, j.model
        )
    ),
    rules as materialized (
        select
            c.kind, c.number, count(*)::int as trials, avg(c.quality) as quality, avg(c.cost_usd) as cost_usd,
            array_agg(c.quality order by c.row_number)::vector as qualities,
            -- Micro-dollars, because vectors hold and sum single-precision numbers.
            array_agg(c.cost_usd * 1e6 order by c.row_number)::vector as costs,
            array_agg(c.model) as models
        from chosen as c
        group by c.kind, c.number
    ),
    -- Rubin's bootstrap: each trial is weighted by an exponential draw, the same for all rules.
    draws as materialized (
        select d.draw, array_agg(d.weight order by d.trial)::vector as weights, sum(d.weight) as total
        from (
            select
                b.draw, t.trial,
                -ln(
                    (
                        (hashint8extended(b.draw::bigint * 100000 + t.trial, p_seed) & 1073741823) + 0.5
                    )::float8 / 1073741824
                ) as weight
            from generate_series(1, p_resamples) as b (draw)
            cross join generate_series(1, (select max(r.trials) from rules as r)) as t (trial)
        ) as d
        group by d.draw
    ),
    drawn as materialized (
        select
            r.kind, r.number, d.draw,
            inner_product(d.weights, r.qualities) / d.total as quality,
            inner_product(d.weights, r.costs) / d.total / 1e6 as cost_usd
        from rules as r
        cross join draws as d
    ),
    singles as materialized (
        select
            d.draw, array_agg(d.cost_usd order by d.number) as costs,
            array_agg(d.quality order by d.number) as qualities,
            max(d.quality) filter (where d.number = p_default) as default_quality
        from drawn as d
        where d.kind = 'always'
        group by d.draw
    ),
    bounds as (
        select
            d.kind, d.number,
            percentile_cont(array[(1 - p_confidence) / 2, (1 + p_confidence) / 2]) within group (order by d.quality)
            as quality,
            percentile_cont(array[(1 - p_confidence) / 2, (1 + p_confidence) / 2]) within group (
                order by d.quality - router_internal._static_blend(s.costs, s.qualities, d.cost_usd)
            ) as gain,
            percentile_cont(1 - p_confidence) within group (order by d.quality / nullif(s.default_quality, 0)) as ratio
        from drawn as d
        inner join singles as s on s.draw = d.draw
        group by d.kind, d.number
    ),
    found as (
        select
            array_agg(r.cost_usd order by r.number) as costs, array_agg(r.quality order by r.number) as qualities
        from rules as r
        where r.kind = 'always'
    )
    select
        r.kind, case when r.kind = 'policy' then p_alphas[r.number] end, case when r.kind = 'always' then r.number end,
        r.quality, b.quality[1], b.quality[2], r.cost_usd, f.blend, r.quality - f.blend, b.gain[1], b.gain[2],
        r.quality / nullif(f.default_quality, 0), b.ratio, r.cost_usd / nullif(f.default_usd, 0),
        array(
            select cardinality(array_positions(r.models, m.number)) / r.trials::double precision
            from generate_series(1, cardinality(p_input)) as m (number)
            order by m.number
        ),
        r.trials
    from rules as r
    inner join bounds as b on b.kind = r.kind and b.number = r.number
    cross join lateral (
        select
            router_internal._static_blend(f.costs, f.qualities, r.cost_usd) as blend,
            f.qualities[p_default] as default_quality, f.costs[p_default] as default_usd
        from found as f
    ) as f;
end;

comment on function router_internal._curve is
'Return the means and bounds of a policy at each alpha, of each single model and of the oracle, over the same trials.
Means are per request. Bootstrap bounds are at p_confidence, two-sided except quality_ratio_low. blend_quality: the
best static blend of single models at the same cost.';
