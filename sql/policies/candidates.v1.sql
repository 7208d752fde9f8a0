create function router.candidates(p_tenant int) returns table (
    policy_id int,
    policy text,
    backend router.backend,
    granularity router.granularity,
    default_model smallint,
    models smallint[]
)
language plpgsql stable
as $$
begin
    perform router_internal._enter(p_tenant);
    return query
    select p.policy_id, p.name, p.backend, p.granularity, p.default_model,
        (
            select coalesce(array_agg(c.model_id order by c.model_id), '{}')
            from router.policy_models as c
            inner join router.models as m on m.model_id = c.model_id and m.enabled
            where c.tenant_id = p_tenant and c.policy_id = p.policy_id
        )
    from router.policies as p
    where p.tenant_id = p_tenant
    order by p.name;
end;
$$;

comment on function router.candidates is
'Return the policies of a tenant, each with its default model and its enabled candidates.';
