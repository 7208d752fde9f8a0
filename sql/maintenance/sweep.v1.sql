create function router.sweep(p_tenant int, p_space smallint) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_branch text := format('router.%I', format('memories_large_%s', p_tenant));
    v_leaf text := format('router.%I', format('memories_large_%s_%s', p_tenant, p_space));
    v_used boolean;
    v_last boolean;
begin
    perform router_internal._enter(p_tenant);
    -- DROP waits for all readers, and new readers would wait behind it.
    perform set_config('lock_timeout', '50ms', true);
    perform from router_internal.job_locks as l where l.job = 'sweep' for no key update;
    perform router_internal._lock_memory(p_tenant);
    if
        to_regclass(v_leaf) is null
        or exists (
            select from router.memory_counts
            where
                tenant_id = p_tenant and space_id = p_space
                -- A reader whose snapshot is from before the shrink may still need it.
                and (tier = 1 or moved_at > clock_timestamp() - interval '1 minute')
        )
    then
        return false;
    end if;
    -- By its own name: a query of memories_large would lock that, and DROP would wait for a stronger lock on it while a
    -- graduation, which holds a weaker one too, waits for the same: a deadlock, which no lock_timeout precedes.
    execute format('select exists (select from %s)', v_leaf) into v_used;
    if v_used then
        return false;
    end if;
    select count(*) = 1 into v_last from pg_catalog.pg_inherits where inhparent = to_regclass(v_branch);
    execute 'drop table ' || case when v_last then v_branch else v_leaf end;
    return true;
end;
$$;

comment on function router.sweep is
'Drop the empty partition of a shrunk or deleted tenant; false if it is gone or in use.
It counts as in use for a minute after the shrink. Raises lock_not_available (55P03) if readers or a teacher hold it
for more than 50 ms: try again later. Runs as its owner, because the proxy may not drop tables.';
