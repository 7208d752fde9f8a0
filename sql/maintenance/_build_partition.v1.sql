create function router_internal._build_partition(p_tenant int, p_space smallint) returns void
language plpgsql volatile
as $$
declare
    v_leaf text := format('memories_large_%s_%s', p_tenant, p_space);
begin
    execute format(
        'create table router.%I (like router.memories including constraints including defaults including storage) '
        -- Vacuuming an HNSW takes longer than rebuilding it, which maintenance does after churn.
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
    perform router_internal._index_partition(p_tenant, p_space);
end;
$$;

comment on function router_internal._build_partition is
'Copy a tenant''s memories of one space from memories_small into a table that can become their partition, and index it.
Blocks nothing; _catch_up adds what is taught meanwhile.';
