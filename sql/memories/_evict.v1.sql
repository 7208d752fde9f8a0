create function router_internal._evict(p_tenant int, p_space smallint) returns int
language plpgsql volatile
as $$
declare
    v_cap int;
    v_building smallint;
    v_excess int;
    v_space smallint;
    v_tier smallint;
    v_oldest bigint[];
    v_gone int;
    v_evicted int := 0;
begin
    select memory_cap, next_space_id into v_cap, v_building from router.tenants where tenant_id = p_tenant;
    select sum(memories) - v_cap into v_excess
    from router.memory_counts
    where tenant_id = p_tenant and space_id is distinct from v_building;
    if v_excess <= ceil(v_cap * 0.02) then
        return 0;
    end if;
    for v_space, v_tier in
        select space_id, tier from router.memory_counts
        where tenant_id = p_tenant and space_id is distinct from v_building
        order by space_id = p_space, space_id
    loop
        -- Two statements, because a join may be planned before there are statistics, as a nested loop.
        v_oldest := array(
            select memory_id from router.memories
            where tenant_id = p_tenant and tier = v_tier and space_id = v_space
            order by created_at, memory_id
            -- After a switch a whole space is stale. It goes in batches, so that no single call takes long.
            limit case when v_space = p_space then v_excess else least(v_excess, 10000) end
        );
        delete from router.memories where tenant_id = p_tenant and tier = v_tier and memory_id = any(v_oldest);
        get diagnostics v_gone = row_count;
        v_evicted := v_evicted + v_gone;
        v_excess := v_excess - v_gone;
        exit when v_excess <= 0 or v_gone = 10000 and v_space <> p_space;
    end loop;
    return v_evicted;
end;
$$;

comment on function router_internal._evict is
'Delete the memories of a tenant that exceed its cap: stale spaces first, then the oldest; return how many.
Copies that are being built for another space do not count. The excess is deleted once it is 2% of the cap, so the
bound is the cap plus 2%; of a stale space at most 10,000 are deleted a call. The caller holds the lock of
_lock_memory.';
