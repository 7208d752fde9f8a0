create function router_internal._best_settings(
    p_trials router_internal.trial[],
    p_k int[],
    p_tau double precision[],
    p_input double precision[],
    p_output double precision[],
    p_ratio double precision[],
    p_rule router_internal.rule,
    p_floor double precision,
    p_default int
) returns table (
    setting int, n0 double precision, n0_task double precision, better double precision, error double precision
)
language plpgsql stable
as $$
declare
    v_own double precision[];
    v_best double precision := 0;
    v_better double precision[];
    v_error double precision;
    v_tasked boolean := exists (select from unnest(p_trials) as t where t.tasked);
    v_step int;
    v_turn record;
    -- Two for each setting.
    v_fits router_internal.fit[];
    v_rule router_internal.rule;
    v_trials router_internal.trial[];
begin
    setting := 1;
    n0 := p_rule.n0;
    n0_task := p_rule.n0_task;
    better := 0;
    -- First the neighbours (k, tau), then the weights of the prior (n0, n0_task).
    for v_step in 1..3 loop
        for v_turn in
            select s.i as setting, n0 as n0, n0_task as n0_task
            from generate_series(1, cardinality(p_k)) as s (i)
            where v_step = 1
            union all
            select setting, u.value, n0_task
            from unnest(array[0.5, 1, 2, 5, 10, 20]) as u (value)
            -- Where it is fitted it is not a setting.
            where v_step = 2 and not p_rule.fit_n0
            union all
            select setting, n0, u.value
            from unnest(array[1, 2, 5, 10, 20, 40]) as u (value)
            where v_step = 3 and v_tasked
        loop
            v_rule := router_internal._with_weights(p_rule, v_turn.n0, v_turn.n0_task);
            v_trials := array(select t from unnest(p_trials) as t where t.setting = v_turn.setting);
            if v_step = 1 then
                v_fits := v_fits || router_internal._cross_fits(v_trials, v_rule, cardinality(p_input));
            end if;
            -- One half chooses, the other measures the choice: the best of many is partly luck.
            select
                array[
                    avg(u.utility - o.utility) filter (where u.i % 2 = 1),
                    avg(u.utility - o.utility) filter (where u.i % 2 = 0)
                ],
                stddev_samp(u.utility - o.utility) filter (where u.i % 2 = 0) / sqrt(count(*) / 2),
                coalesce(v_own, array_agg(u.utility order by u.i))
            into v_better, v_error, v_own
            from unnest(router_internal._utility(
                v_trials, p_input, p_output, p_ratio, v_rule,
                array(
                    select (
                        case when p_rule.fit_n0 then f.n0 else v_turn.n0 end, f.guess, f.lambda, f.transfer
                    )::router_internal.fit
                    from unnest(v_fits[2 * v_turn.setting - 1:2 * v_turn.setting]) as f
                ),
                p_floor, p_default
            )) with ordinality as u (utility, i)
            left join unnest(v_own) with ordinality as o (utility, i) on o.i = u.i;
            if v_better[1] > v_best then
                v_best := v_better[1];
                setting := v_turn.setting;
                n0 := v_turn.n0;
                n0_task := v_turn.n0_task;
                better := v_better[2];
                error := v_error;
            end if;
        end loop;
    end loop;
    return next;
end;
$$;

comment on function router_internal._best_settings is
'Return the setting and prior weights that were worth most on every other trial, and their gain on the rest.
setting: one of those that the trials were made with. better: the gain over the first setting with the weights of p_rule;
error: the standard error of that gain.';
