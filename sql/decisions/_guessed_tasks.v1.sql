create function router_internal._guessed_tasks(
    p_tenant int, p_space smallint, p_models smallint[], p_n1 double precision, p_near router_internal.neighbour[]
) returns router_internal.guess[]
language sql stable
begin atomic
    with tags as materialized (
        select u.task_id, sum(u.weight) / sum(sum(u.weight)) over () as share
        from (
            select t.task_id, exp((t.similarity - 1) / 0.05) as weight
            from unnest(p_near) as t
        ) as u
        where u.task_id is not null
        group by u.task_id
    ),
    labelled as materialized (
        select
            k.model_id, sum(t.share * k.labels / (k.labels + p_n1)) as share,
            sum(t.share * k.quality_sum / (k.labels + p_n1)) as quality
        from tags as t
        inner join router.priors as k
            on k.tenant_id = p_tenant and k.space_id = p_space and k.task_id = t.task_id and k.labels > 0
        group by k.model_id
    )
    select array_agg((coalesce(o.share, 0), coalesce(o.quality, 0))::router_internal.guess order by c.ordinality)
    from unnest(p_models) with ordinality as c (model_id, ordinality)
    left join labelled as o on o.model_id = c.model_id;
end;

comment on function router_internal._guessed_tasks is
'Return what the labels of the neighbours'' tasks say of each candidate, by its position.
A tag counts as much as exp((similarity - 1) / 0.05) of its neighbours; each task''s mean is shrunk by n1 to the mean of
the model, of which a share of 1 - share is left.';
