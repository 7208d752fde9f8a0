create view router.memory with (security_invoker = true) as
select
    t.name as tenant,
    m.memory_id,
    k.name as task,
    x.source,
    (
        select jsonb_object_agg(o.name, round(u.quality::numeric, 3) order by o.name)
        from unnest(m.quality) with ordinality as u (quality, model_id)
        inner join router.models as o on o.model_id = u.model_id
        where u.quality is not null
    ) as scores,
    m.created_at as taught_at,
    s.name as space,
    x.prompt
from router.memories as m
inner join router.tenants as t on t.tenant_id = m.tenant_id
inner join router.spaces as s on s.space_id = m.space_id
left join router.memory_texts as x on x.tenant_id = m.tenant_id and x.memory_id = m.memory_id
left join router.tasks as k on k.tenant_id = m.tenant_id and k.task_id = m.task_id;

comment on view router.memory is 'The memory with names instead of numbers: one row per memory, labels by model name.';
comment on column router.memory.tenant is 'Name of the tenant.';
comment on column router.memory.memory_id is 'Number of the memory.';
comment on column router.memory.task is 'Task tag.';
comment on column router.memory.source is 'Source of the labels.';
comment on column router.memory.scores is 'Quality 0 to 1 by model.';
comment on column router.memory.taught_at is 'When it was last taught.';
comment on column router.memory.space is 'The embedding space of its vector.';
comment on column router.memory.prompt is 'The prompt; NULL: the tenant stores none.';
