create function router.reembed(
    p_tenant int, p_from smallint, p_to smallint, p_memories bigint[], p_embeddings halfvec[]
) returns int
language plpgsql volatile
as $$
declare
    v_cap int;
    v_count router.memory_counts;
    v_copied int;
begin
    perform router_internal._enter(p_tenant);
    perform router_internal._lock_memory(p_tenant);
    select memory_cap into v_cap from router.tenants
    where tenant_id = p_tenant and space_id = p_from and next_space_id = p_to;
    if not found then
        raise exception 'the memory of tenant % is not being rewritten for space % any more', p_tenant, p_to
            using errcode = 'RT007';
    end if;
    insert into router.memory_counts (tenant_id, space_id, memories, prompt_tokens)
    values (p_tenant, p_to, 0, 0)
    on conflict on constraint memory_counts_pkey do nothing;

    -- Rows are found by lists of numbers: with a wrong index that is one long scan instead of hundreds.
    with texts as materialized (
        select memory_id, prompt_hash, source from router.memory_texts
        where tenant_id = p_tenant and space_id = p_from and memory_id = any(p_memories)
    ),
    copies as materialized (
        select memory_id, prompt_hash, source from router.memory_texts
        where tenant_id = p_tenant and space_id = p_to and prompt_hash = any(array(select prompt_hash from texts))
    ),
    dates as materialized (
        select memory_id, created_at from router.memories
        where
            tenant_id = p_tenant and space_id in (p_from, p_to)
            and memory_id = any(p_memories || array(select memory_id from copies))
    )
    delete from router.memories
    where tenant_id = p_tenant and space_id = p_to and memory_id = any(array(
        select c.memory_id
        from copies as c
        inner join dates as copied on copied.memory_id = c.memory_id
        inner join texts as t on t.prompt_hash = c.prompt_hash and t.source = c.source
        inner join dates as taught on taught.memory_id = t.memory_id
        where copied.created_at < taught.created_at
    ));

    with old as materialized (
        select x.memory_id, x.prompt_hash, x.source, x.prompt, x.key_id, x.first_taught_at, i.embedding
        from router.memory_texts as x
        inner join unnest(p_memories, p_embeddings) as i (memory_id, embedding) on i.memory_id = x.memory_id
        where x.tenant_id = p_tenant and x.space_id = p_from and x.memory_id = any(p_memories)
    ),
    labels as materialized (
        select memory_id, created_at, task_id, prompt_tokens, quality, completion_tokens from router.memories
        where tenant_id = p_tenant and space_id = p_from and memory_id = any(p_memories)
    ),
    texts as (
        insert into router.memory_texts (
            tenant_id, memory_id, space_id, prompt_hash, source, prompt, key_id, first_taught_at
        )
        select
            p_tenant, nextval('router.memory_ids'), p_to, o.prompt_hash, o.source, o.prompt, o.key_id, o.first_taught_at
        from old as o
        order by o.memory_id
        -- A copy that still exists is up to date.
        on conflict on constraint memory_texts_prompt_key do nothing
        returning memory_id, prompt_hash, source
    )
    insert into router.memories (
        tenant_id, memory_id, created_at, tier, space_id, task_id, prompt_tokens, quality, completion_tokens, embedding
    )
    select
        p_tenant, t.memory_id, l.created_at, c.tier, p_to, l.task_id, l.prompt_tokens, l.quality, l.completion_tokens,
        o.embedding
    from texts as t
    inner join old as o on o.prompt_hash = t.prompt_hash and o.source = t.source
    inner join labels as l on l.memory_id = o.memory_id
    inner join router.memory_counts as c on c.tenant_id = p_tenant and c.space_id = p_to;
    get diagnostics v_copied = row_count;

    select * into v_count from router.memory_counts where tenant_id = p_tenant and space_id = p_to;
    if v_count.memories > v_cap * 1.02 then
        perform router_internal._trim_copies(p_tenant, p_from, p_to);
    end if;
    return v_copied;
end;
$$;

comment on function router.reembed is
'Copy memories of a tenant''s space into the space that is being built, with new embeddings.
Returns how many were copied. Memories that were forgotten meanwhile, or copied already, are skipped. Raises RT007 if
the tenant''s memory is no longer being rewritten between these two spaces.';
