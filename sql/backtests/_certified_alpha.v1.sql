create function router_internal._certified_alpha(
    p_trials router_internal.trial[],
    p_input double precision[],
    p_output double precision[],
    p_ratio double precision[],
    p_rule router_internal.rule,
    p_fits router_internal.fit[],
    p_floor double precision,
    p_default int,
    p_alphas double precision[],
    p_ordering int,
    p_at_most double precision,
    p_margin double precision,
    p_confidence double precision
) returns table (
    alpha double precision, certified boolean, tested int, worse int, supported double precision
)
language sql stable
-- The planner does not know how long arrays are, and would assume few rows.
set enable_nestloop = off
begin atomic
    with served as (
        select
            c.turn, c.cost_usd, c.row_number <= p_ordering as ordering,
            -- Labels are single-precision numbers; differences below 1e-6 are those of rounding.
            (d.quality - c.quality > p_margin + 1e-6)::int as worse
        from router_internal._choices(
            p_trials, p_input, p_output, p_ratio, p_rule, p_fits, p_floor, p_default, p_alphas
        ) as c
        inner join unnest(p_trials) as d on d.row_number = c.row_number and d.model = p_default
    ),
    sums as (
        select
            s.turn, coalesce(sum(s.worse) filter (where s.ordering), 0)::int as ordering_worse,
            coalesce(sum(s.cost_usd) filter (where s.ordering), 0) as ordering_usd,
            coalesce(sum(s.worse) filter (where not s.ordering), 0)::int as testing_worse,
            count(*) filter (where not s.ordering)::int as tested
        from served as s
        group by s.turn
    ),
    halves as materialized (
        select
            array_agg(s.ordering_worse order by s.turn) as ordering_worse,
            array_agg(s.ordering_usd order by s.turn) as ordering_usd,
            array_agg(s.testing_worse order by s.turn) as testing_worse, max(s.tested) as tested
        from sums as s
    )
    select
        p_alphas[f.candidate], f.certified, h.tested, f.worse,
        router_internal._binomial_bound(h.tested, f.worse, 1 - p_confidence)
    from halves as h
    cross join lateral router_internal._fixed_sequence(
        h.ordering_worse, h.ordering_usd, h.testing_worse, h.tested, p_at_most, 1 - p_confidence
    ) as f
    -- The last that is certified, which is the cheapest; if none is, the safest.
    order by f.certified desc, case when f.certified then f.place end desc, f.place
    limit 1;
end;

comment on function router_internal._certified_alpha is
'Return the cheapest alpha certified to serve at most a share p_at_most of requests worse than the default model does.
Worse: by more than p_margin of quality, 0 to 1. Trials up to row p_ordering order the alphas from safe to risky, the
others test them, each with an error of 1 - p_confidence (_fixed_sequence). tested: rows of the test; worse: those of
them that are worse at this alpha. If no alpha is certified, it is the safest; supported: the upper bound of its share
of worse requests, which is the least p_at_most that these trials certify.';
