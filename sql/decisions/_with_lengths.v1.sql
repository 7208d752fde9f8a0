create function router_internal._with_lengths(
    p_estimates router.estimate[], p_candidates router.candidate[], p_mean_prompt double precision
) returns table (estimates router.estimate[], unit double precision)
language sql immutable
begin atomic
    select
        array_agg(o::router.estimate order by s.ordinality),
        max(
            p_mean_prompt * s.token_ratio * s.input_price + coalesce(s.mean_tokens, s.expected) * s.output_price
        ) / 1e6
    from (
        select
            e.*, c.token_ratio, c.mean_tokens,
            coalesce(e.completion_tokens, avg(e.completion_tokens) over (), 256) as expected
        from unnest(p_estimates) with ordinality as e
        inner join unnest(p_candidates) as c on c.model_id = e.model_id
    ) as s
    cross join lateral (
        -- One column for each attribute of the type, in its order; the caller sets score and unit_usd.
        select
            s.model_id, s.quality, s.labels, s.confidence,
            s.expected as completion_tokens,
            (
                (s.prompt_tokens - s.cached_tokens) * s.input_price + s.cached_tokens * s.cached_input_price
                + s.expected * s.output_price
            ) / 1e6 as cost_usd,
            null::double precision as score,
            s.support, s.prior, s.n0, s.known, s.prompt_tokens, s.cached_tokens,
            s.input_price, s.cached_input_price, s.output_price,
            null::double precision as unit_usd,
            s.alpha, s.penalty, s.base_support, s.mean, s.ease, s.borrowed, s.share
    ) as o;
end;

comment on function router_internal._with_lengths is
'Fill in the answer length of models that have none: the mean of the others, or 256 tokens if no length is known.
Returns the estimates with the costs that follow, and the cost of the dearest candidate for the tenant''s average
prompt.';
