create function router_internal._outcomes(
    p_trials router_internal.trial[],
    p_input double precision[],
    p_output double precision[],
    p_ratio double precision[],
    p_rule router_internal.rule,
    p_fits router_internal.fit[]
) returns table (
    row_number int, model int, estimate double precision, expected_usd double precision, unit_usd double precision,
    tokens double precision,
    confidence double precision, labels int, quality double precision, cost_usd double precision
)
language sql stable
begin atomic
    with expected as (
        select
            e.*, f.share, f.transfer,
            case when f.share > 0 then array_agg(e.evidence) over w end as evidences
        from unnest(p_fits) with ordinality as p (n0, guess, lambda, transfer, place)
        cross join lateral (
            select case when p.transfer is null then 0 else (p_rule).share end as share, p.transfer
        ) as f
        cross join lateral router_internal._expected(
            array(select t from unnest(p_trials) as t where t.row_number % cardinality(p_fits) = p.place - 1),
            p_rule, (p.n0, p.guess, p.lambda, p.transfer)::router_internal.fit, true
        ) as e
        window w as (
            partition by e.row_number order by e.model rows between unbounded preceding and unbounded following
        )
    ),
    blended as (
        select
            t.*, coalesce(t.support / nullif(t.support + e.n0, 0), 0) as confidence,
            (1 - e.share) * (
                e.prior + e.ease + coalesce((e.excess - e.ease * e.support) / nullif(e.support + e.n0, 0), 0)
            ) + case when e.share > 0 then e.share * (
                e.prior + (
                    select sum(u.evidence * e.transfer[(u.place - 1) * cardinality(p_input) + e.model])
                    from unnest(e.evidences) with ordinality as u (evidence, place)
                )
            ) else 0 end as estimate,
            router_internal._blend(
                t.token_weighted, t.token_support, case when t.tasked then (p_rule).n0_task else (p_rule).n0 end,
                t.token_prior
            ) as blended_tokens,
            p_input[t.model] * p_ratio[t.model] as input, p_output[t.model] as output
        from unnest(p_trials) as t
        inner join expected as e on e.row_number = t.row_number and e.model = t.model
    ),
    sized as (
        select
            b.*,
            coalesce(b.blended_tokens, avg(b.blended_tokens) over (partition by b.row_number), 256) as expected_tokens
        from blended as b
    )
    select
        s.row_number, s.model, s.estimate,
        (s.prompt_tokens * s.input + s.expected_tokens * s.output) / 1e6,
        max(s.mean_prompt * s.input + coalesce(s.mean_tokens, s.expected_tokens) * s.output)
            over (partition by s.row_number) / 1e6,
        s.expected_tokens, s.confidence, s.labels, s.quality,
        (s.prompt_tokens * s.input + coalesce(s.completion_tokens, s.expected_tokens) * s.output) / 1e6
    from sized as s;
end;

comment on function router_internal._outcomes is
'Return the estimates of trials of one setting, as estimates would make them, beside the real outcome of each model.
The outcome is the label, and the cost at the answer''s known length, or else at the expected one. Prices are USD per
million tokens by candidate, as in _candidates. p_fits: one, or the two of _cross_fits.';
