create function router._price(p_model router.models, p_prompt int, p_cached int, p_completion int)
returns double precision
language sql immutable
begin atomic
    select (
        (p_prompt - least(coalesce(p_cached, 0), p_prompt)) * (p_model).input_price
        + least(coalesce(p_cached, 0), p_prompt) * coalesce((p_model).cached_input_price, (p_model).input_price)
        + p_completion * (p_model).output_price
    ) / 1e6;
end;

comment on function router._price is
'USD of one request at a model''s prices; NULL when tokens or prices are unknown, never 0 for want of knowing.';
