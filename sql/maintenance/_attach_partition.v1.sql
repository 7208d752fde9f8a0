create function router_internal._attach_partition(p_tenant int, p_space smallint) returns void
language plpgsql volatile
as $$
declare
    v_branch text := format('memories_large_%s', p_tenant);
    v_leaf text := format('memories_large_%s_%s', p_tenant, p_space);
    v_new boolean := to_regclass(format('router.%I', v_branch)) is null;
begin
    -- Whoever is changing tenants is waited for; reading them goes on meanwhile.
    perform set_config('lock_timeout', '5s', true);
    if v_new then
        execute format(
            'create table router.%I (like router.memories including constraints including defaults including storage) '
            'partition by list (space_id)', v_branch
        );
        execute format('comment on table router.%I is %L', v_branch, format('Memories of tenant %s, graduated.', p_tenant));
    end if;
    -- ATTACH, not PARTITION OF, which would lock readers out.
    execute format('alter table router.%I attach partition router.%I for values in (%s)', v_branch, v_leaf, p_space);
    if v_new then
        execute format(
            'alter table router.memories_large attach partition router.%I for values in (%s)', v_branch, p_tenant
        );
    end if;
    -- It has proved to Postgres that no row has to be looked at; the bounds say the same.
    execute format('alter table router.%I drop constraint %I', v_leaf, v_leaf || '_check');
    -- A commit is seen a moment before other sessions hear of its new partition, and then they would look for the rows
    -- where these were. This lock has them wait that moment, and is let go of when there is a long reader.
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
'Makes the table of _build_partition the partition of a tenant''s space. Last thing of its transaction: until then only
those wait who change tenants or spaces, and readers for 50 ms at most.';
