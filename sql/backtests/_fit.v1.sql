create function router_internal._fit(
    p_trials router_internal.trial[], p_rule router_internal.rule, p_size int, p_until timestamptz default 'infinity'
) returns router_internal.fit
language plpgsql stable
as $$
declare
    -- Rows that compare models; with fewer, single labels choose n0 and nothing else is fitted.
    c_pairs constant int := 50;
    v_n0 double precision := p_rule.n0;
    v_guess boolean := p_rule.guess_task = 'always';
    v_pairs int;
    v_fit router_internal.fit;
begin
    select count(*) filter (where e.known > 1) / p_size into v_pairs
    from router_internal._expected(p_trials, p_rule, (p_rule.n0, false, null, null)::router_internal.fit, false) as e;
    if p_rule.fit_n0 then
        with errors as materialized (
            select g.place, e.row_number, sum(d.error * d.error)
                - case when max(e.known) > 1 then sum(d.error) * sum(d.error) / count(*) else 0 end as error
            from router_internal._expected(
                p_trials, p_rule, (p_rule.n0, false, null, null)::router_internal.fit, false
            ) as e
            cross join unnest(array[2, 5, 10, 20, 40, 80, 160, 1e6]) with ordinality as g (n0, place)
            cross join lateral (
                select e.quality - e.prior - e.ease - (e.excess - e.ease * e.support) / (e.support + g.n0) as error
            ) as d
            where e.quality is not null and e.prior is not null and (v_pairs < c_pairs or e.known > 1)
            group by g.place, e.row_number
        ),
        best as (
            select e.place from errors as e group by e.place order by sum(e.error), e.place limit 1
        ),
        -- A single label cannot tell a better model from an easier prompt: of all n0 that are as good, within a standard
        -- error, the greatest.
        compared as (
            select e.place, sum(e.error - b.error) <= sqrt(sum(power(e.error - b.error, 2))) as as_good
            from errors as e
            inner join errors as b on b.row_number = e.row_number
            inner join best as c on c.place = b.place
            group by e.place
        )
        select coalesce((array[2, 5, 10, 20, 40, 80, 160, 1e6])[
            case when v_pairs < c_pairs then (select max(c.place) from compared as c where c.as_good)
                else (select b.place from best as b)
            end
        ], p_rule.n0) into v_n0;
    end if;
    if v_pairs < c_pairs then
        return (v_n0, v_guess, null, null)::router_internal.fit;
    end if;
    if p_rule.guess_task = 'fit' and exists (select from unnest(p_trials) as t where t.guessed is not null) then
        select sum(s.error) filter (where s.guess) < sum(s.error) filter (where not s.guess) into v_guess
        from (
            select u.guess, sum(u.error * u.error) - sum(u.error) * sum(u.error) / count(*) as error
            from (
                select g.guess, e.row_number,
                    e.quality - e.prior - e.ease - (e.excess - e.ease * e.support) / (e.support + e.n0) as error
                from unnest(array[false, true]) as g (guess)
                cross join lateral router_internal._expected(
                    p_trials, p_rule, (v_n0, g.guess, null, null)::router_internal.fit, false
                ) as e
                where e.quality is not null and e.prior is not null and e.known > 1
            ) as u
            group by u.guess, u.row_number
        ) as s;
    end if;
    v_fit := (v_n0, v_guess, null, null)::router_internal.fit;
    if p_rule.share > 0 then
        v_fit := router_internal._fit_transfer(p_trials, p_rule, v_fit, p_size, p_until);
    end if;
    return v_fit;
end;
$$;

comment on function router_internal._fit is
'Choose n0, whether to guess tasks, and the matrix of a policy of p_size candidates from trials of one setting.
Each has the least squared leave-one-out error of differences between models: the error of a label less the mean error
of its memory''s labels. What p_rule fixes is not fitted. p_until: see _fit_transfer.';
