create function router_internal._alphas(p_alphas double precision[], p_own double precision) returns double precision[]
language sql immutable
begin atomic
    select array_agg(distinct a.alpha)
    from (
        select u.alpha from unnest(p_alphas) as u (alpha)
        union all
        -- At 0 quality alone decides, at the last alpha (45) cost alone.
        select case when i = 0 then 0 else round((0.004 * power(1.5, i - 1))::numeric, 6)::double precision end
        from generate_series(0, 24) as i
        where p_alphas is null
        union all
        select p_own
    ) as a;
end;

comment on function router_internal._alphas is
'Return the alphas of a curve, ascending: those given, or a grid from quality to cost alone; and the policy''s own.';
