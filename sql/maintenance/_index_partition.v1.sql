create function router_internal._index_partition(p_tenant int, p_space smallint) returns void
language plpgsql volatile
as $$
declare
    v_leaf text := format('memories_large_%s_%s', p_tenant, p_space);
    v_index text;
    v_rows bigint;
begin
    select format(
        -- With pgvector's default of 64, some of 100,000 memories cannot be found by any search.
        'create index %I on router.%I using hnsw (embedding %I.halfvec_cosine_ops) with (ef_construction = 128)',
        v_leaf || '_hnsw', v_leaf, n.nspname
    ) into v_index
    from pg_catalog.pg_extension as e
    inner join pg_catalog.pg_namespace as n on n.oid = e.extnamespace
    where e.extname = 'vector';
    execute format('select count(*) from router.%I', v_leaf) into v_rows;
    -- An HNSW that does not fit into this memory is built several times slower: about 2 kB a row, up to 2 GB.
    perform set_config('maintenance_work_mem', greatest(
        pg_size_bytes(current_setting('maintenance_work_mem')) / 1024, least(32768 + 2 * v_rows, 2097151)
    )::text || 'kB', true);
    -- A smaller index takes a minute on one core, which leaves the other cores to decisions.
    if v_rows < 100000 then
        perform set_config('max_parallel_maintenance_workers', '0', true);
    end if;
    begin
        execute v_index;
    exception
        -- The shared memory of a container is often too small for workers.
        when disk_full or out_of_memory then
            perform set_config('max_parallel_maintenance_workers', '0', true);
            execute v_index;
    end;
end;
$$;

comment on function router_internal._index_partition is
'Build the HNSW index of a table made by _build_partition.';
