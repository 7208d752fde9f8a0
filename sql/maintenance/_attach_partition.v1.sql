create function router_internal._attach_partition(p_tenant int, p_space smallint) returns void
language plpgsql volatile
as $$
declare
    v_branch text := format('memories_large_%s', p_tenant);
    v_leaf text := format('memories_large_%s_%s', p_tenant, p_space);
    v_new boolean := to_regclass(format('router.%I', v_branch)) is null;
begin
    -- Waits for transactions that change tenants; reading tenants goes on.
    perform set_config('lock_timeout', '5s', true);
    if v_new then
        execute format(
            'create table router.%I (like router.memories including constraints including defaults including storage) '
            'partition by list (space_id)', v_branch
        );
        execute format('comment on table router.%I is %L', v_branch, format('Memories of tenant %s, graduated.', p_tenant));
    end if;
    -- ATTACH, because PARTITION OF would lock readers out.
    execute format('alter table router.%I attach partition router.%I for values in (%s)', v_branch, v_leaf, p_space);
    if v_new then
        execute format(
            'alter table router.memories_large attach partition router.%I for values in (%s)', v_branch, p_tenant
        );
    end if;
    -- The constraint spared ATTACH a scan; the partition's bounds now hold the same condition.
    execute format('alter table router.%I drop constraint %I', v_leaf, v_leaf || '_check');
    -- Other sessions see the commit a moment before they learn of the new partition, and would look for the rows in the
    -- old place. This lock makes them wait for that moment; it is given up if a reader holds the table for long.
    perform set_config('lock_timeout', '50ms', true);
    for v_try in 1..5 loop
        begin
            lock table only router.memories_large in access exclusive mode;
            exit;
        exception
            when lock_not_available or deadlock_detected then perform pg_sleep(0.1);
        end;
    end loop;
end;
$$;

comment on function router_internal._attach_partition is
'Make the table of _build_partition the partition of a tenant''s space; the last step of its transaction.
Until it commits, changes of tenants and spaces wait, and readers wait for 50 ms at most.';
