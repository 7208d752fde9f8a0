create function router_internal._trials(
    p_tenant int,
    p_space smallint,
    p_models smallint[],
    p_ledger_tokens double precision[],
    p_k int[],
    p_tau double precision[],
    p_rule router_internal.rule,
    p_base int,
    p_base_weight double precision,
    p_seed_count int,
    p_sample int,
    p_seconds double precision,
    p_seed int,
    p_after int default 0,
    p_complete boolean default true
) returns setof router_internal.trial
language plpgsql stable
as $$
declare
    v_ends timestamptz := clock_timestamp() + make_interval(secs => p_seconds);
    v_drawn record;
    v_hash bytea;
    v_copies bigint[];
    v_gone router.memories[];
    v_row int := p_after;
begin
    for v_drawn in
        select m as memory
        from router.memories as m
        where
            m.tenant_id = p_tenant and m.space_id = p_space
            and case
                when p_complete
                    then not exists (select from unnest(p_models) as c (model_id) where m.quality[c.model_id] is null)
                else exists (select from unnest(p_models) as c (model_id) where m.quality[c.model_id] is not null)
            end
        order by hashint8extended(m.memory_id, p_seed), m.memory_id
        limit p_sample - p_after
        offset p_after
    loop
        -- Fewer rows are not meaningful.
        exit when v_row - p_after >= 30 and clock_timestamp() > v_ends;
        v_row := v_row + 1;
        v_gone := array[v_drawn.memory];
        select x.prompt_hash into v_hash
        from router.memory_texts as x
        where x.tenant_id = p_tenant and x.memory_id = (v_drawn.memory).memory_id;
        select array_agg(o.memory_id) into v_copies
        from router.memory_texts as o
        where
            o.tenant_id = p_tenant and o.space_id = p_space and o.prompt_hash = v_hash
            and o.memory_id <> (v_drawn.memory).memory_id;
        -- A statement of its own, because it opens the partitions of every tenant.
        if v_copies is not null then
            v_gone := v_gone || array(
                select m from router.memories as m
                where m.tenant_id = p_tenant and m.space_id = p_space and m.memory_id = any(v_copies)
            );
        end if;
        return query
        select t.*
        from router_internal._trial(
            v_row, v_drawn.memory, v_gone, v_hash, p_models, p_ledger_tokens, p_k, p_tau, p_rule,
            p_base, p_base_weight, p_seed_count
        ) as t;
    end loop;
end;
$$;

comment on function router_internal._trials is
'Return the trials of a sample of the memories that label every candidate, or without p_complete any candidate.
p_seed shuffles the memories; the first p_after of that order are skipped. After p_seconds no more are taken, but at
least 30.';
