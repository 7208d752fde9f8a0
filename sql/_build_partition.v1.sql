create function router._build_partition(p_tenant int, p_space smallint, p_rows int) returns void
language plpgsql volatile
as $$
declare
    v_leaf text := format('memories_large_%s_%s', p_tenant, p_space);
    v_vector text;
    v_index text;
begin
    select n.nspname into v_vector
    from pg_catalog.pg_extension as e
    inner join pg_catalog.pg_namespace as n on n.oid = e.extnamespace
    where e.extname = 'vector';
    execute format(
        'create table router.%I (like router.memories including constraints including defaults including storage) '
        -- Cleaning an HNSW up takes longer than building it anew, which the upkeep does after churn.
        'with (autovacuum_vacuum_insert_scale_factor = 0.02, vacuum_index_cleanup = off)', v_leaf
    );
    execute format(
        'comment on table router.%I is %L', v_leaf, format('Memories of tenant %s in space %s.', p_tenant, p_space)
    );
    execute format(
        'insert into router.%I select tenant_id, memory_id, created_at, 1, space_id, task_id, prompt_tokens, quality, '
        'completion_tokens, embedding from router.memories_small where tenant_id = $1 and space_id = $2', v_leaf
    ) using p_tenant, p_space;
    execute format(
        'alter table router.%I add constraint %I primary key (memory_id), add constraint %I '
        'check (tier = 1 and tenant_id = %s and space_id = %s)',
        v_leaf, v_leaf || '_pkey', v_leaf || '_check', p_tenant, p_space
    );
    execute format('create index %I on router.%I (created_at, memory_id)', v_leaf || '_age', v_leaf);
    -- An HNSW that does not fit while it is built is built several times slower: about 2 kB a row, up to 2 GB.
    perform set_config('maintenance_work_mem', greatest(
        pg_size_bytes(current_setting('maintenance_work_mem')) / 1024, least(32768 + 2 * p_rows::bigint, 2097151)
    )::text || 'kB', true);
    -- Below that a minute on one core, which leaves the others to those who decide.
    if p_rows < 100000 then
        perform set_config('max_parallel_maintenance_workers', '0', true);
    end if;
    v_index := format(
        'create index %I on router.%I using hnsw (embedding %I.halfvec_cosine_ops)', v_leaf || '_hnsw', v_leaf, v_vector
    );
    begin
        execute v_index;
    exception
        -- A container's shared memory is often too small for workers.
        when disk_full or out_of_memory then
            perform set_config('max_parallel_maintenance_workers', '0', true);
            execute v_index;
    end;
end;
$$;

comment on function router._build_partition is
'Copies a tenant''s small memories of one space into a table that can become their partition, and indexes it.
The caller holds the tenant''s rows of memory_counts. p_rows: how many there are, for the memory of the build.';
