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
'Return the USD of one request at prices per million tokens; NULL (never 0) if tokens or prices are unknown.
Cached tokens are part of the prompt''s, reasoning tokens part of the completion''s.';
