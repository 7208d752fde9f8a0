create function router_internal._fit_transfer(
    p_trials router_internal.trial[], p_rule router_internal.rule, p_fit router_internal.fit, p_size int,
    p_until timestamptz
) returns router_internal.fit
language plpgsql stable
as $$
declare
    v_rows router_internal.evidence[];
    -- One system of equations for all models, or where labels are missing one for each.
    v_systems int;
    v_squares double precision[];
    v_products double precision[];
    v_counts int[];
    v_inverses double precision[];
    v_transfer double precision[];
    v_lambda double precision;
    v_trace double precision;
    v_at int;
    v_sum double precision;
    v_error double precision;
    v_least double precision;
    v_best double precision;
    v_found double precision[];
begin
    select
        array_agg((r.row_number, r.evidence, r.residual)::router_internal.evidence),
        case when bool_or(array_position(r.residual, null) is not null) then p_size else 1 end
    into v_rows, v_systems
    from (
        select
            e.row_number, array_agg(e.evidence order by e.model) as evidence,
            array_agg(e.quality - e.prior order by e.model) as residual
        from router_internal._expected(p_trials, p_rule, p_fit, false) as e
        group by e.row_number
    ) as r;
    select array_agg(coalesce(s.total, 0) order by y.system, i.i, j.j) into v_squares
    from generate_series(1, v_systems) as y (system)
    cross join generate_series(1, p_size) as i (i)
    cross join generate_series(1, p_size) as j (j)
    left join (
        select y.system, i.place as i, j.place as j, sum(i.value * j.value) as total
        from generate_series(1, v_systems) as y (system)
        cross join unnest(v_rows) as r
        cross join unnest(r.evidence) with ordinality as i (value, place)
        cross join unnest(r.evidence) with ordinality as j (value, place)
        where v_systems = 1 or r.residual[y.system] is not null
        group by y.system, i.place, j.place
    ) as s on s.system = y.system and s.i = i.i and s.j = j.j;
    select array_agg(s.total order by s.i, s.model), array_agg(s.many order by s.model) filter (where s.i = 1)
    into v_products, v_counts
    from (
        select i.place as i, m.place as model, coalesce(sum(i.value * m.value), 0) as total, count(m.value) as many
        from unnest(v_rows) as r
        cross join unnest(r.evidence) with ordinality as i (value, place)
        cross join unnest(r.residual) with ordinality as m (value, place)
        group by i.place, m.place
    ) as s;
    foreach v_lambda in array array[0.1, 0.3, 1, 3, 10, 30, 100, 1e9] loop
        exit when clock_timestamp() > p_until;
        v_inverses := '{}';
        for s in 0..v_systems - 1 loop
            v_at := s * p_size * p_size;
            v_trace := 0;
            for i in 0..p_size - 1 loop
                v_trace := v_trace + v_squares[v_at + i * p_size + i + 1];
            end loop;
            -- Nothing is said of a model by fewer than two labels of it.
            if v_trace > 0 and (v_systems = 1 or v_counts[s + 1] > 1) then
                v_inverses := v_inverses || router_internal._inverse(
                    v_squares[v_at + 1:v_at + p_size * p_size], p_size, v_lambda * v_trace / p_size
                );
            else
                v_inverses := v_inverses || array_fill(0::double precision, array[p_size * p_size]);
            end if;
        end loop;
        v_transfer := array_fill(0::double precision, array[p_size * p_size]);
        for i in 0..p_size - 1 loop
            for m in 1..p_size loop
                v_at := case when v_systems = 1 then 0 else (m - 1) * p_size * p_size end + i * p_size;
                v_sum := 0;
                for j in 1..p_size loop
                    v_sum := v_sum + v_inverses[v_at + j] * v_products[(j - 1) * p_size + m];
                end loop;
                v_transfer[i * p_size + m] := v_sum;
            end loop;
        end loop;
        select sum(e.error) into v_error
        from (
            select sum(o.error * o.error) - sum(o.error) * sum(o.error) / count(*) as error
            from unnest(v_rows) as r
            cross join generate_series(1, v_systems) as y (system)
            cross join lateral (
                select sum(
                    i.value * j.value * v_inverses[((y.system - 1) * p_size + i.place - 1) * p_size + j.place]
                ) as value
                from unnest(r.evidence) with ordinality as i (value, place)
                cross join unnest(r.evidence) with ordinality as j (value, place)
                where v_systems = 1 or r.residual[y.system] is not null
            ) as h
            cross join lateral (
                select (r.residual[m.place] - sum(i.value * v_transfer[(i.place - 1) * p_size + m.place]))
                    / (1 - h.value) as error
                from generate_series(1, p_size) as m (place)
                cross join unnest(r.evidence) with ordinality as i (value, place)
                where r.residual[m.place] is not null and (v_systems = 1 or m.place = y.system)
                group by m.place
            ) as o
            group by r.row_number
        ) as e;
        if v_least is null or v_error < v_least then
            v_least := v_error;
            v_best := v_lambda;
            v_found := v_transfer;
        end if;
    end loop;
    return (p_fit.n0, p_fit.guess, v_best, v_found)::router_internal.fit;
end;
$$;

comment on function router_internal._fit_transfer is
'Return p_fit with the ridge regression of each model''s residual on the evidence of all p_size models, in rows.
residual: label less prior. lambda, the ridge in mean squares of the evidence, is that of the least leave-one-out error
of differences between models. A model with fewer than two labels borrows nothing. After
p_until no other lambda is tried; no matrix: none was.';
