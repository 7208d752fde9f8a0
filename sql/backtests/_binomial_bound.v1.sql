create function router_internal._binomial_bound(
    p_trials int, p_successes int, p_error double precision
) returns double precision
language plpgsql immutable
as $$
declare
    v_low double precision := 0;
    v_high double precision := 1;
    v_middle double precision;
begin
    if p_successes >= p_trials then
        return 1;
    end if;
    -- Halving 40 times leaves 1e-12; the upper end is returned, which is never too low.
    for i in 1..40 loop
        v_middle := (v_low + v_high) / 2;
        if router_internal._binomial_cdf(p_trials, p_successes, v_middle) <= p_error then
            v_high := v_middle;
        else
            v_low := v_middle;
        end if;
    end loop;
    return v_high;
end;
$$;

comment on function router_internal._binomial_bound is
'Return the one-sided upper bound of a probability after p_successes of p_trials (Clopper and Pearson, 1934).
p_error: the probability with which the bound may be too low, above 0 and below 1. 1 if every trial was a success.';
