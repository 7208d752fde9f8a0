create function router_internal._antitonic_fit(p_values double precision[]) returns double precision[]
language sql immutable
begin atomic
    with summed as materialized (
        select u.i, sum(u.value) over (order by u.i) as upto, u.value
        from unnest(p_values) with ordinality as u (value, i)
    ),
    -- For each i: of all runs a to b with a <= i <= b, the largest mean from each a, and the least of these.
    runs as materialized (
        select a.i as first, b.i as last, (b.upto - a.upto + a.value) / (b.i - a.i + 1) as mean
        from summed as a
        inner join summed as b on b.i >= a.i
    ),
    reached as (
        select r.first, r.last as i, max(r.mean) over (partition by r.first order by r.last desc) as most
        from runs as r
    )
    select array_agg(f.fit order by f.i)
    from (select r.i, min(r.most) as fit from reached as r group by r.i) as f;
end;

comment on function router_internal._antitonic_fit is
'Return the values nearest to those given (least squares) that never rise: noise along a falling curve, averaged out.';
