create function router.sweep(p_tenant int, p_space smallint) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_branch text := format('router.%I', format('memories_large_%s', p_tenant));
    v_leaf text := format('router.%I', format('memories_large_%s_%s', p_tenant, p_space));
    v_last boolean;
begin
    perform router_internal._enter(p_tenant);
    -- Dropping waits for every reader, and new ones would wait behind it.
    perform set_config('lock_timeout', '50ms', true);
    perform pg_advisory_xact_lock(hashtextextended('router.sweep', 0));
    perform router_internal._lock_memory(p_tenant);
    if
        to_regclass(v_leaf) is null
        or exists (
            select from router.memory_counts
            where
                tenant_id = p_tenant and space_id = p_space
                -- A reader that began before the shrink has yet to look here.
                and (tier = 1 or moved_at > clock_timestamp() - interval '1 minute')
        )
        or exists (select from router.memories_large where tenant_id = p_tenant and space_id = p_space)
    then
        return false;
    end if;
    select count(*) = 1 into v_last from pg_catalog.pg_inherits where inhparent = to_regclass(v_branch);
    execute 'drop table ' || case when v_last then v_branch else v_leaf end;
    return true;
end;
$$;

comment on function router.sweep is
'Drops the partition that a shrunk or deleted tenant left empty; false when it is gone or in use, which it counts as
for a minute after the shrink.
Raises lock_not_available (55P03) when readers or a teacher do not let go within 50 ms: try again later.
Runs as its owner: the proxy may not drop tables.';
