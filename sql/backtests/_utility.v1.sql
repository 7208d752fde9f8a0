create function router_internal._utility(
    p_trials router_internal.trial[],
    p_input double precision[],
    p_output double precision[],
    p_ratio double precision[],
    p_rule router_internal.rule,
    p_fits router_internal.fit[],
    p_floor double precision,
    p_default int
) returns double precision[]
language sql stable
begin atomic
    select array_agg(u.utility order by u.row_number)
    from (
        select p.row_number, avg(p.quality - a.alpha * coalesce(p.cost_usd / nullif(p.unit_usd, 0), 0)) as utility
        from unnest(array[0.02, 0.05, 0.1, 0.2, 0.4, 0.8]) with ordinality as a (alpha, turn)
        inner join router_internal._choices(
            p_trials, p_input, p_output, p_ratio, p_rule, p_fits, p_floor, p_default,
            array[0.02, 0.05, 0.1, 0.2, 0.4, 0.8]
        ) as p on p.turn = a.turn
        group by p.row_number
    ) as u;
end;

comment on function router_internal._utility is
'Return what settings are worth in each trial: quality less alpha times the share of cost, averaged over six alphas.';
