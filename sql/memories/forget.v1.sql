create function router.forget(p_tenant int, p_memories bigint[] default null, p_all boolean default false) returns int
language plpgsql volatile
as $$
declare
    v_gone bigint[];
    v_prompts int;
begin
    perform router_internal._enter(p_tenant);
    perform router_internal._lock_memory(p_tenant);
    with chosen as materialized (
        select prompt_hash, source
        from router.memory_texts
        where tenant_id = p_tenant and (p_all or memory_id = any(p_memories))
    ),
    gone as (
        -- In every space: a copy that is being built, or is not dropped yet, would come back.
        delete from router.memory_texts as x using chosen as c
        where x.tenant_id = p_tenant and x.prompt_hash = c.prompt_hash and x.source = c.source
        returning x.memory_id, x.prompt_hash, x.source
    )
    select coalesce(array_agg(memory_id), '{}'), count(distinct (prompt_hash, source)) into v_gone, v_prompts from gone;
    delete from router.memories where tenant_id = p_tenant and memory_id = any(v_gone);
    return v_prompts;
end;
$$;

comment on function router.forget is
'Forgets these memories of a tenant, or all of them where p_all says so, with their copies in other spaces; returns how
many there were, copies not counted. Numbers that are NULL are none: a query that finds nothing forgets nothing.';
