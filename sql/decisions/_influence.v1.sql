create function router_internal._influence(p_estimates router.estimate[], p_context router.context)
returns double precision[]
language sql stable
begin atomic
    with total as materialized (
        select
            coalesce(sum(e.support) filter (where e.prior is not null), 0)
            + (p_context).ease
            * greatest(sum(e.known)::double precision / nullif((p_context).memories, 0), 1) as support
        from unnest(p_estimates) as e
    )
    select array_agg(
        case when o.prior is null or e.prior is null then 0
            else (1 - e.share) * (
                coalesce(e.n0 / nullif(e.support + e.n0, 0), 0) / t.support
                + case when o.model_id = e.model_id then coalesce(1 / nullif(e.support + e.n0, 0), 0) else 0 end
            ) + case when e.share > 0
                then e.share / (o.support + 2) * (p_context).transfer[
                    (array_position((p_context).fitted, o.model_id) - 1) * cardinality((p_context).fitted)
                    + array_position((p_context).fitted, e.model_id)
                ]
                else 0
            end
        end
        order by o.ordinality, e.ordinality
    )
    from unnest(p_estimates) with ordinality as o
    cross join unnest(p_estimates) with ordinality as e
    cross join total as t;
end;

comment on function router_internal._influence is
'Return by how much an estimate moves for each unit of weight * (label - prior): a matrix in rows, label''s model first.
Estimates are linear in the labels of the neighbours, so these are all their effects.';
