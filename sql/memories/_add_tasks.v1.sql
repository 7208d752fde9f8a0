create function router_internal._add_tasks(p_tenant int, p_names text[]) returns void
language plpgsql volatile
as $$
declare
    v_last smallint;
begin
    select coalesce(max(task_id), 0) into v_last from router.tasks where tenant_id = p_tenant;
    insert into router.tasks (tenant_id, task_id, name)
    select p_tenant, v_last + row_number() over (order by n.name), n.name
    from (select distinct u.name from unnest(p_names) as u (name) where u.name is not null) as n
    where not exists (select from router.tasks as t where t.tenant_id = p_tenant and t.name = n.name);
    if (select count(*) from router.tasks where tenant_id = p_tenant) > 1000 then
        raise exception 'a tenant may use at most 1000 task tags' using errcode = 'RT005', column = 'task';
    end if;
end;
$$;

comment on function router_internal._add_tasks is
'Number the task tags that are new to a tenant.
The caller holds the tenant''s rows of memory_counts. Raises RT005 past 1000 tags, because each tag has its own priors.';
