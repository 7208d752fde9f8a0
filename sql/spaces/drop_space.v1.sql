create function router.drop_space(p_tenant int, p_space smallint, p_limit int default null) returns int
language plpgsql volatile
as $$
declare
    v_serving smallint;
    v_tier smallint;
    v_gone int;
begin
    perform router_internal._enter(p_tenant);
    perform router_internal._lock_memory(p_tenant);
    select space_id into v_serving from router.tenants
    where tenant_id = p_tenant and space_id <> p_space and next_space_id is distinct from p_space;
    if not found then
        raise exception 'space % of tenant % is in use', p_space, p_tenant using errcode = 'RT007';
    end if;
    select tier into v_tier from router.memory_counts where tenant_id = p_tenant and space_id = p_space;
    delete from router.memories
    where tenant_id = p_tenant and tier = v_tier and space_id = p_space and memory_id = any(array(
        select memory_id from router.memories
        where tenant_id = p_tenant and tier = v_tier and space_id = p_space
        limit p_limit
    ));
    get diagnostics v_gone = row_count;
    if p_limit is null or v_gone < p_limit then
        -- The memories that were built did not count towards the cap.
        perform router_internal._evict(p_tenant, v_serving);
    end if;
    return v_gone;
end;
$$;

comment on function router.drop_space is
'Delete the memories of a tenant in a stale space, at most p_limit of them; return how many there were.
Raises RT007 if the space serves the tenant, is being built, or may serve it because no space was chosen yet.';
