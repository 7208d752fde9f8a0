create function router_internal._with_lengths(
    p_estimates router.estimate[], p_candidates router.candidate[], p_mean_prompt double precision
) returns table (estimates router.estimate[], unit double precision)
language sql immutable
begin atomic
    select
        array_agg((
            s.model_id, s.quality, s.labels, s.confidence, s.expected,
            (
                (s.prompt_tokens - s.cached_tokens) * s.input_price + s.cached_tokens * s.cached_input_price
                + s.expected * s.output_price
            ) / 1e6,
            null, s.support, s.prior, s.n0, s.known, s.prompt_tokens, s.cached_tokens,
            s.input_price, s.cached_input_price, s.output_price, null, s.alpha, s.penalty, s.base_support
        )::router.estimate order by s.position),
        max(
            p_mean_prompt * s.token_ratio * s.input_price + coalesce(s.mean_tokens, s.expected) * s.output_price
        ) / 1e6
    from (
        select
            e.*, c.token_ratio, c.mean_tokens,
            coalesce(e.completion_tokens, avg(e.completion_tokens) over (), 256) as expected
        from unnest(p_estimates) with ordinality as e (
            model_id, quality, labels, confidence, completion_tokens, cost_usd, score, support, prior, n0, known,
            prompt_tokens, cached_tokens, input_price, cached_input_price, output_price, unit_usd, alpha, penalty,
            base_support, position
        )
        inner join unnest(p_candidates) as c on c.model_id = e.model_id
    ) as s;
end;

comment on function router_internal._with_lengths is
'Estimates in which a model of unknown answer length is taken to answer as long as the others on average, 256 tokens
where none is known, with their costs; and what the dearest costs for the tenant''s average prompt.';
