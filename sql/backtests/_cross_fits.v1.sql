create function router_internal._cross_fits(
    p_trials router_internal.trial[], p_rule router_internal.rule, p_size int
) returns router_internal.fit[]
language sql stable
begin atomic
    select array_agg(
        router_internal._fit(
            array(select t from unnest(p_trials) as t where t.row_number % 2 <> h.half), p_rule, p_size
        ) order by h.half
    )
    from generate_series(0, 1) as h (half);
end;

comment on function router_internal._cross_fits is
'Return two fits: the first for trials of even number, made from those of odd number, and the other way round.
So no trial is estimated by a fit that it took part in.';
