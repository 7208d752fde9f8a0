create function router_internal._outcomes(
    p_trials router_internal.trial[],
    p_input double precision[],
    p_output double precision[],
    p_ratio double precision[],
    p_n0 double precision,
    p_n0_task double precision
) returns table (
    row_number int, model int, estimate double precision, expected_usd double precision, unit_usd double precision,
    tokens double precision,
    confidence double precision, labels int, quality double precision, cost_usd double precision
)
language sql stable
begin atomic
    with blended as (
        select
            t.*, coalesce(t.support / nullif(t.support + n.n0, 0), 0) as confidence,
            router_internal._blend(t.weighted, t.support, n.n0, t.prior) as estimate,
            router_internal._blend(t.token_weighted, t.token_support, n.n0, t.token_prior) as blended_tokens,
            p_input[t.model] * p_ratio[t.model] as input, p_output[t.model] as output
        from unnest(p_trials) as t
        cross join lateral (select case when t.tasked then p_n0_task else p_n0 end as n0) as n
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
million tokens by candidate, as in _candidates.';
