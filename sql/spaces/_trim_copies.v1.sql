create function router_internal._trim_copies(p_tenant int, p_from smallint, p_to smallint) returns int
language plpgsql volatile
as $$
declare
    v_oldest timestamptz;
    v_gone int;
begin
    select min(created_at) into v_oldest from router.memories where tenant_id = p_tenant and space_id = p_from;
    with old as materialized (
        select memory_id from router.memories
        where tenant_id = p_tenant and space_id = p_to and created_at <= v_oldest
    ),
    texts as materialized (
        select memory_id, prompt_hash, source from router.memory_texts
        where tenant_id = p_tenant and memory_id = any(array(select memory_id from old))
    ),
    serving as materialized (
        select prompt_hash, source from router.memory_texts
        where tenant_id = p_tenant and space_id = p_from and prompt_hash = any(array(select prompt_hash from texts))
    )
    delete from router.memories
    where tenant_id = p_tenant and space_id = p_to and memory_id = any(array(
        select t.memory_id from texts as t
        where not exists (select from serving as s where s.prompt_hash = t.prompt_hash and s.source = t.source)
    ));
    get diagnostics v_gone = row_count;
    return v_gone;
end;
$$;

comment on function router_internal._trim_copies is
'Delete copies of memories that were evicted from the serving space since they were copied; return how many.
Only copies as old as the oldest serving memory are checked. Without this they would pile up while much is taught. The
caller holds the lock of _lock_memory.';
