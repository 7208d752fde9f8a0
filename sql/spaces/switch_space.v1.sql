create function router.switch_space(
    p_tenant int, p_space smallint, p_lost bigint default 0, p_unfit bigint[] default '{}'
) returns table (outdated bigint, lost bigint)
language plpgsql volatile
as $$
declare
    v_from smallint;
    v_outdated bigint;
    v_lost bigint;
begin
    perform router_internal._enter(p_tenant);
    perform router_internal._lock_memory(p_tenant);
    select space_id into v_from from router.tenants where tenant_id = p_tenant and next_space_id = p_space;
    if not found then
        raise exception 'the memory of tenant % is not being rewritten for space %', p_tenant, p_space
            using errcode = 'RT007';
    end if;
    select
        count(*) filter (where o.stored and o.memory_id <> all (p_unfit)),
        count(*) filter (where not o.stored or o.memory_id = any(p_unfit))
    into v_outdated, v_lost
    from router.outdated(p_tenant, v_from, p_space) as o;
    if v_outdated = 0 and v_lost <= p_lost then
        update router.tenants set space_id = p_space, next_space_id = null where tenant_id = p_tenant;
    end if;
    return query select v_outdated, v_lost;
end;
$$;

comment on function router.switch_space is
'Let the space that was built serve a tenant, if nothing is outdated and at most p_lost memories would be lost.
Lost are memories without a stored prompt and those in p_unfit. Returns how many are outdated and how many lost; if
that is too many, nothing changes. The old memories stay until drop_space. Raises RT007 if that space is not being
built.';
