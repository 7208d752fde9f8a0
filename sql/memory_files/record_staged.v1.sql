create function router.record_staged(
    p_tenant int, p_space smallint, p_now timestamptz default now(), p_key int default null
)
returns table (examples int, created int, evicted int)
language plpgsql volatile
as $$
declare
    c_batch constant int := 1000;
    v_before int;
    v_first int;
    v_examples router.example[];
    v_created int;
begin
    perform router_internal._enter(p_tenant);
    perform router_internal._lock_memory(p_tenant);
    select coalesce(sum(c.memories), 0) into v_before from router.memory_counts as c where c.tenant_id = p_tenant;
    select coalesce(max(s.position), 0) into examples from pg_temp.staged_examples as s;
    created := 0;
    for v_first in 1 .. examples by c_batch loop
        select array_agg((
            s.prompt_hash, s.prompt, s.source, s.task, s.prompt_tokens, s.quality, s.completion_tokens, s.embedding
        )::router.example order by s.position) into v_examples
        from pg_temp.staged_examples as s
        where s.position between v_first and v_first + c_batch - 1;
        -- One microsecond more for each batch, so that the order of age is the order of the file.
        select count(distinct r.memory) filter (where r.created) into v_created
        from router.record(
            p_tenant, p_space, p_key, v_examples, p_now - (examples - v_first) / c_batch * interval '1 microsecond'
        ) as r;
        created := created + v_created;
        raise notice 'taught % of % examples', least(v_first + c_batch - 1, examples), examples
            using detail = least(v_first + c_batch - 1, examples);
    end loop;
    select v_before + created - coalesce(sum(c.memories), 0) into evicted
    from router.memory_counts as c
    where c.tenant_id = p_tenant;
    return next;
end;
$$;

comment on function router.record_staged is
'Teach a tenant all examples of staged_examples, all or none.
Calls record in batches, and raises a NOTICE with the progress in its detail after each. Returns how many examples were
staged, how many memories are new and how many were evicted for them. p_key: as of record. Raises RT001, RT005, RT007 and 22023 as record does, and
undefined_table (42P01) without stage.';
