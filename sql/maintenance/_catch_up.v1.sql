create function router_internal._catch_up(p_tenant int, p_space smallint) returns void
language plpgsql volatile
as $$
declare
    v_leaf text := format('memories_large_%s_%s', p_tenant, p_space);
    v_held bigint;
    v_missing bigint;
begin
    execute format(
        'delete from router.%I as l where not exists (select from router.memories_small as m '
        'where m.tenant_id = $1 and m.space_id = $2 and m.memory_id = l.memory_id and record_image_eq('
        'row(m.created_at, m.task_id, m.prompt_tokens, m.quality, m.completion_tokens, m.embedding), '
        'row(l.created_at, l.task_id, l.prompt_tokens, l.quality, l.completion_tokens, l.embedding)))', v_leaf
    ) using p_tenant, p_space;
    execute format('select count(*) from router.%I', v_leaf) into v_held;
    select count(*) - v_held into v_missing
    from router.memories_small
    where tenant_id = p_tenant and space_id = p_space;
    -- Adding a row to an HNSW takes several times as long as its share of a build.
    if v_missing * 8 > v_held then
        execute format('drop index router.%I', v_leaf || '_hnsw');
    end if;
    execute format(
        'insert into router.%1$I select tenant_id, memory_id, created_at, 1, space_id, task_id, prompt_tokens, quality, '
        'completion_tokens, embedding from router.memories_small as m where tenant_id = $1 and space_id = $2 '
        'and not exists (select from router.%1$I as l where l.memory_id = m.memory_id)', v_leaf
    ) using p_tenant, p_space;
    if v_missing * 8 > v_held then
        perform router_internal._index_partition(p_tenant, p_space);
    end if;
end;
$$;

comment on function router_internal._catch_up is
'Bring a table made by _build_partition up to date with what was taught, overwritten and forgotten since it was filled.
The caller holds the lock of _lock_memory.';
