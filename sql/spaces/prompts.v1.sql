create function router.prompts(p_tenant int, p_memories bigint[]) returns table (memory_id bigint, prompt text)
language plpgsql stable
as $$
begin
    perform router_internal._enter(p_tenant);
    return query
    select x.memory_id, x.prompt
    from router.memory_texts as x
    where x.tenant_id = p_tenant and x.memory_id = any(p_memories) and x.prompt is not null;
end;
$$;

comment on function router.prompts is
'Return the stored prompts of some memories of a tenant.
Memories that no longer exist, or without a stored prompt, are left out.';
