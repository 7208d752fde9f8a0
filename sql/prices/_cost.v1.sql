create function router_internal._cost(
    p_input_price double precision,
    p_cached_input_price double precision,
    p_output_price double precision,
    p_prompt int,
    p_cached int,
    p_completion int
) returns double precision
language sql immutable
begin atomic
    select (
        (p_prompt - least(coalesce(p_cached, 0), p_prompt)) * p_input_price
        + least(coalesce(p_cached, 0), p_prompt) * coalesce(p_cached_input_price, p_input_price)
        + p_completion * p_output_price
    ) / 1e6;
end;

comment on function router_internal._cost is
'USD of one request at prices in USD per million tokens; NULL when tokens or prices are unknown, never 0 for want of
knowing. The cached tokens are among the prompt''s, those of reasoning among the completion''s.';
