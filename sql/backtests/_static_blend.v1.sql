create function router_internal._static_blend(
    p_costs double precision[], p_qualities double precision[], p_cost double precision
) returns double precision
language sql immutable
begin atomic
    select coalesce(
        max(case
            when b.cost is null then a.quality
            else a.quality + (b.quality - a.quality) * (p_cost - a.cost) / (b.cost - a.cost)
        end),
        -- No mixture costs less than the cheapest model.
        (
            select u.quality from unnest(p_costs, p_qualities) as u (cost, quality)
            order by u.cost, u.quality desc limit 1
        )
    )
    from unnest(p_costs, p_qualities) as a (cost, quality)
    left join unnest(p_costs, p_qualities) as b (cost, quality) on b.cost > p_cost and b.quality > a.quality
    where a.cost <= p_cost;
end;

comment on function router_internal._static_blend is
'Return the best quality that a fixed mixture of single models reaches for at most p_cost: their upper hull.';
