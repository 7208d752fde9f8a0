create function router.shrink(p_tenant int, p_space smallint default null) returns int
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_space smallint;
    v_moved int;
begin
    perform router_internal._begin_move(p_tenant);
    perform router_internal._lock_memory(p_tenant);
    select space_id into v_space
    from router.memory_counts
    where tenant_id = p_tenant and tier = 1 and (p_space is null or space_id = p_space)
    order by memories desc, space_id desc
    limit 1;
    if not found then
        return 0;
    end if;
    insert into router.memories_small (
        tenant_id, memory_id, created_at, tier, space_id, task_id, prompt_tokens, quality, completion_tokens, embedding
    )
    select
        tenant_id, memory_id, created_at, 0, space_id, task_id, prompt_tokens, quality, completion_tokens, embedding
    from router.memories_large
    where tenant_id = p_tenant and space_id = v_space;
    get diagnostics v_moved = row_count;
    -- A statement on a partition does not fire the triggers of memories: the memories only move. The partition stays,
    -- empty, until sweep drops it.
    delete from router.memories_large where tenant_id = p_tenant and space_id = v_space;
    update router.memory_counts set tier = 0, churn = 0, moved_at = clock_timestamp()
    where tenant_id = p_tenant and space_id = v_space;
    return v_moved;
end;
$$;

comment on function router.shrink is
'Move a tenant''s memories of one space back to the exact scan; return how many.
p_space NULL: its fullest graduated space. 0: nothing to move. One transaction, for which teaching this tenant waits
and reads do not. sweep drops the empty partition. Runs as its owner, past row level security. Raises RT001 for an
unknown tenant, RT006 while another session moves memories.';
