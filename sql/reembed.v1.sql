create function router.reembed(
    p_tenant int, p_from smallint, p_to smallint, p_memories bigint[], p_embeddings halfvec[]
) returns int
language plpgsql volatile
as $$
declare
    v_cap int;
    v_copied int;
begin
    perform router._enter(p_tenant);
    insert into router.memory_counts (tenant_id, space_id, memories, prompt_tokens)
    values (p_tenant, p_to, 0, 0)
    on conflict on constraint memory_counts_pkey do nothing;
    perform from router.memory_counts where tenant_id = p_tenant order by space_id for update;
    select memory_cap into v_cap from router.tenants
    where tenant_id = p_tenant and space_id = p_from and next_space_id = p_to;
    if not found then
        raise exception 'the memory of tenant % is not being rewritten for space % any more', p_tenant, p_to
            using errcode = 'RT007';
    end if;
    with input as materialized (
        select
            x.memory_id, x.prompt_hash, x.prompt, x.source, x.key_id, x.first_taught_at, m.created_at, m.task_id, m.prompt_tokens,
            m.quality, m.completion_tokens, i.embedding
        from unnest(p_memories, p_embeddings) as i (memory_id, embedding)
        inner join router.memory_texts as x
            on x.tenant_id = p_tenant and x.space_id = p_from and x.memory_id = i.memory_id
        inner join router.memories as m
            on m.tenant_id = p_tenant and m.space_id = p_from and m.memory_id = i.memory_id
        where not exists (
            select
            from router.memory_texts as y
            inner join router.memories as n
                on n.tenant_id = p_tenant and n.space_id = p_to and n.memory_id = y.memory_id
            where
                y.tenant_id = p_tenant
                and y.space_id = p_to
                and y.prompt_hash = x.prompt_hash
                and y.source = x.source
                and n.created_at >= m.created_at
        )
    ),
    texts as (
        insert into router.memory_texts (
            tenant_id, memory_id, space_id, prompt_hash, source, prompt, key_id, first_taught_at
        )
        select
            p_tenant, nextval('router.memory_ids'), p_to, i.prompt_hash, i.source, i.prompt, i.key_id, i.first_taught_at
        from input as i
        order by i.memory_id
        on conflict on constraint memory_texts_prompt_key do update
            set prompt = excluded.prompt, key_id = excluded.key_id
        returning new.memory_id, new.prompt_hash, new.source, old.memory_id is null as created
    ),
    changed as (
        update router.memories as m set
            created_at = i.created_at, task_id = i.task_id, prompt_tokens = i.prompt_tokens, quality = i.quality,
            completion_tokens = i.completion_tokens, embedding = i.embedding
        from texts as x
        inner join input as i on i.prompt_hash = x.prompt_hash and i.source = x.source
        where not x.created and m.memory_id = x.memory_id and m.tenant_id = p_tenant and m.space_id = p_to
    ),
    added as (
        insert into router.memories (
            tenant_id, memory_id, created_at, tier, space_id, task_id, prompt_tokens, quality, completion_tokens,
            embedding
        )
        select
            p_tenant, x.memory_id, i.created_at, c.tier, p_to, i.task_id, i.prompt_tokens, i.quality,
            i.completion_tokens, i.embedding
        from texts as x
        inner join input as i on i.prompt_hash = x.prompt_hash and i.source = x.source
        inner join router.memory_counts as c on c.tenant_id = p_tenant and c.space_id = p_to
        where x.created
    )
    select count(*) into v_copied from texts;
    -- While many are taught, copies of what was evicted meanwhile would pile up; none is younger than all that serves.
    if (select memories from router.memory_counts where tenant_id = p_tenant and space_id = p_to) > v_cap * 1.02 then
        delete from router.memories as m
        where
            m.tenant_id = p_tenant
            and m.space_id = p_to
            and m.created_at <= (
                select min(o.created_at) from router.memories as o where o.tenant_id = p_tenant and o.space_id = p_from
            )
            and not exists (
                select
                from router.memory_texts as y
                inner join router.memory_texts as x
                    on x.tenant_id = p_tenant and x.space_id = p_from and x.prompt_hash = y.prompt_hash
                        and x.source = y.source
                where y.tenant_id = p_tenant and y.memory_id = m.memory_id
            );
    end if;
    return v_copied;
end;
$$;

comment on function router.reembed is
'Copies memories of a tenant''s space into the one that is being built, with new embeddings and else as they are now.
Returns how many: one that was forgotten meanwhile, or is there already, is passed over. Raises RT007 when the tenant''s
memory is not being rewritten from the one space for the other any more.';
