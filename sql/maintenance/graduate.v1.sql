create function router.graduate(p_tenant int, p_space smallint default null) returns int
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_count router.memory_counts;
    v_leaf text;
    v_new boolean;
    v_moved int;
begin
    perform router_internal._begin_move(p_tenant);
    select * into v_count
    from router.memory_counts
    where
        tenant_id = p_tenant
        and (
            space_id = p_space
            -- A space that is being built is moved by the job that builds it.
            or p_space is null and space_id is distinct from (
                select t.next_space_id from router.tenants as t where t.tenant_id = p_tenant
            )
        )
    order by memories desc, space_id desc
    limit 1;
    if not found or v_count.tier = 1 then
        return 0;
    end if;
    v_leaf := format('router.%I', format('memories_large_%s_%s', p_tenant, v_count.space_id));
    v_new := to_regclass(v_leaf) is null;
    if v_new then
        perform router_internal._build_partition(p_tenant, v_count.space_id);
    end if;
    -- From here on, teaching this tenant waits.
    perform router_internal._lock_memory(p_tenant);
    if not v_new and to_regclass(v_leaf) is null then
        -- A sweep dropped it meanwhile: it excludes teaching but not moving.
        perform router_internal._build_partition(p_tenant, v_count.space_id);
        v_new := true;
    elsif v_new then
        perform router_internal._catch_up(p_tenant, v_count.space_id);
    else
        -- A partition that a shrink left is filled with its index in place, slowly; chores sweeps those first.
        insert into router.memories_large (
            tenant_id, memory_id, created_at, tier, space_id, task_id, prompt_tokens, quality, completion_tokens,
            embedding
        )
        select
            tenant_id, memory_id, created_at, 1, space_id, task_id, prompt_tokens, quality, completion_tokens, embedding
        from router.memories_small
        where tenant_id = p_tenant and space_id = v_count.space_id;
    end if;
    -- A statement on a partition does not fire the triggers of memories: the memories only move.
    delete from router.memories_small where tenant_id = p_tenant and space_id = v_count.space_id;
    get diagnostics v_moved = row_count;
    update router.memory_counts set tier = 1, churn = 0, moved_at = clock_timestamp()
    where tenant_id = p_tenant and space_id = v_count.space_id;
    if not found then
        raise exception 'there is no tenant % any more', p_tenant using errcode = 'RT001';
    end if;
    if v_new then
        perform router_internal._attach_partition(p_tenant, v_count.space_id);
    end if;
    return v_moved;
end;
$$;

comment on function router.graduate is
'Move a tenant''s memories of one space to a partition of their own with an HNSW index; return how many.
p_space NULL: its fullest space. 0: nothing to move. One transaction. While the index is built nothing waits; then
teaching this tenant waits until the partition has caught up. Reads never wait. Runs as its owner, because the proxy
may not create tables. Raises RT001 for an unknown tenant, RT006 while another session moves memories.';
