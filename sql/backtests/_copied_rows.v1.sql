create function router_internal._copied_rows(
    p_tenant int, p_space smallint, p_models smallint[], p_sample int, p_seed int
) returns int[]
language sql stable
begin atomic
    select coalesce(array_agg(c.row_number::int), '{}')
    from (
        select d.row_number, row_number() over (partition by x.prompt_hash order by d.row_number) as copy
        from (
            -- The order of _trials.
            select
                m.memory_id,
                row_number() over (order by hashint8extended(m.memory_id, p_seed), m.memory_id) as row_number
            from router.memories as m
            where
                m.tenant_id = p_tenant and m.space_id = p_space
                and not exists (select from unnest(p_models) as c (model_id) where m.quality[c.model_id] is null)
        ) as d
        inner join router.memory_texts as x on x.tenant_id = p_tenant and x.memory_id = d.memory_id
        where d.row_number <= p_sample
    ) as c
    where c.copy > 1;
end;

comment on function router_internal._copied_rows is
'Return the numbers of the rows of _trials whose prompt is that of an earlier row, with labels from another source.
Such rows are no independent trials: they choose the same model.';
