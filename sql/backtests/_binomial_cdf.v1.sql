create function router_internal._binomial_cdf(
    p_trials int, p_most int, p_share double precision
) returns double precision
language sql immutable
begin atomic
    select case
        when p_most < 0 then 0
        when p_most >= p_trials or p_share <= 0 then 1
        when p_share >= 1 then 0
        else least(
            1, (
                -- exp raises an error below -745; terms below -700 add nothing.
                select sum(exp(greatest(t.log, -700)))
                from (
                    select
                        sum(case when i = 0 then 0 else ln((p_trials - i + 1) / i::double precision) end)
                            over (order by i)
                        + i * ln(p_share) + (p_trials - i) * ln(1 - p_share) as log
                    from generate_series(0, p_most) as i
                ) as t
            )
        )
    end;
end;

comment on function router_internal._binomial_cdf is
'Return the probability of at most p_most successes in p_trials independent trials of probability p_share.
The sum is exact: logarithms of binomial coefficients are added up, so that no factorial overflows.';
