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
        -- In every space; otherwise a copy that is being built or not yet dropped would come back.
        delete from router.memory_texts as x using chosen as c
        where x.tenant_id = p_tenant and x.prompt_hash = c.prompt_hash and x.source = c.source
        returning x.memory_id, x.prompt_hash, x.source
    )
    select coalesce(array_agg(memory_id), '{}'), count(distinct (prompt_hash, source)) into v_gone, v_prompts from gone;
    delete from router.memories where tenant_id = p_tenant and memory_id = any(v_gone);
    if p_all then
        delete from router.fits as f where f.tenant_id = p_tenant;
    end if;
    return v_prompts;
end;
$$;

comment on function router.forget is
'Delete these memories of a tenant, or all of them and its fits if p_all, with their copies in other spaces.
Returns how many there were, without the copies. p_memories NULL deletes nothing, so that a query without results is
harmless.';
