create function router.forget(p_tenant int, p_memories bigint[] default null) returns int
language plpgsql volatile
as $$
declare
    v_gone bigint[];
begin
    perform router._enter(p_tenant);
    perform from router.memory_counts where tenant_id = p_tenant order by space_id for update;
    with gone as (
        delete from router.memory_texts
        where tenant_id = p_tenant and (p_memories is null or memory_id = any(p_memories))
        returning memory_id
    )
    select coalesce(array_agg(memory_id), '{}') into v_gone from gone;
    delete from router.memories where tenant_id = p_tenant and memory_id = any(v_gone);
    return cardinality(v_gone);
end;
$$;

comment on function router.forget is
'Forgets these memories of a tenant, or all of them for NULL; returns how many there were.';
