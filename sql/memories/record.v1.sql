create function router.record(
    p_tenant int, p_space smallint, p_key int, p_examples router.example[], p_now timestamptz default now()
) returns table (memory bigint, created boolean)
language plpgsql volatile
as $$
declare
    v_store boolean;
begin
    perform router_internal._enter(p_tenant);
    perform router_internal._check_examples(p_examples);
    perform router_internal._lock_memory(p_tenant);
    -- Read under the lock: the setting may have changed while this call waited for it.
    select t.store_prompts into v_store from router.tenants as t where t.tenant_id = p_tenant;
    if not found then
        raise exception 'there is no tenant %', p_tenant using errcode = 'RT001';
    end if;
    insert into router.memory_counts (tenant_id, space_id, memories, prompt_tokens)
    values (p_tenant, p_space, 0, 0)
    on conflict on constraint memory_counts_pkey do nothing;
    -- Read under the lock: if the space was switched meanwhile, the caller has to embed anew.
    if exists (select from router.tenants as t where t.tenant_id = p_tenant and t.space_id <> p_space) then
        raise exception 'another embedder serves tenant % now', p_tenant using errcode = 'RT007';
    end if;
    perform router_internal._add_tasks(p_tenant, array(select e.task from unnest(p_examples) as e));

    return query
    with input as materialized (
        select distinct on (e.prompt_hash, e.source) e.*, t.task_id
        from unnest(p_examples) with ordinality as e (
            prompt_hash, prompt, source, task, prompt_tokens, quality, completion_tokens, embedding, position
        )
        left join router.tasks as t on t.tenant_id = p_tenant and t.name = e.task
        order by e.prompt_hash, e.source, e.position desc
    ),
    texts as (
        insert into router.memory_texts as x (
            tenant_id, memory_id, space_id, prompt_hash, source, prompt, key_id, first_taught_at
        )
        select
            p_tenant, nextval('router.memory_ids'), p_space, i.prompt_hash, i.source,
            case when v_store then i.prompt end, p_key, p_now
        from input as i
        order by i.position
        on conflict on constraint memory_texts_prompt_key do update
            set prompt = excluded.prompt, key_id = excluded.key_id
        returning new.memory_id, new.prompt_hash, new.source, old.memory_id is null as created
    ),
    changed as (
        update router.memories as m set
            created_at = p_now, task_id = i.task_id, prompt_tokens = i.prompt_tokens, quality = i.quality,
            completion_tokens = i.completion_tokens, embedding = i.embedding
        from texts as x
        inner join input as i on i.prompt_hash = x.prompt_hash and i.source = x.source
        where not x.created and m.memory_id = x.memory_id and m.tenant_id = p_tenant
    ),
    added as (
        insert into router.memories (
            tenant_id, memory_id, created_at, tier, space_id, task_id, prompt_tokens, quality, completion_tokens,
            embedding
        )
        select
            p_tenant, x.memory_id, p_now, t.tier, p_space, i.task_id, i.prompt_tokens, i.quality, i.completion_tokens,
            i.embedding
        from texts as x
        inner join input as i on i.prompt_hash = x.prompt_hash and i.source = x.source
        inner join router.memory_counts as t on t.tenant_id = p_tenant and t.space_id = p_space
        where x.created
    )
    -- Of copies, the last is the one that was recorded.
    select x.memory_id, x.created and e.position = i.position
    from unnest(p_examples) with ordinality as e (
        prompt_hash, prompt, source, task, prompt_tokens, quality, completion_tokens, embedding, position
    )
    inner join input as i on i.prompt_hash = e.prompt_hash and i.source = e.source
    inner join texts as x on x.prompt_hash = e.prompt_hash and x.source = e.source
    order by e.position;

    perform router_internal._evict(p_tenant, p_space);
end;
$$;

comment on function router.record is
'Teach a tenant examples, all or none; one row of the result for each, in order.
If the same source teaches a prompt again, its memory is overwritten and counts as new for eviction. p_key: the API key
that teaches; NULL: the command line. Of several examples of one prompt and source the last counts, and only its row is
new. Raises RT001 for an unknown tenant, RT005 for too many task tags, RT007 if another space serves the tenant, 22023
for an example without prompt or score.';
