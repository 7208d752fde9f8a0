create function router.put_policy(
    p_tenant int,
    p_name text,
    p_backend router.backend,
    p_default text,
    p_models text[],
    p_weights real[] default null,
    p_settings router.policy_settings default null,
    p_by text default 'psql',
    p_now timestamptz default now()
) returns int
language plpgsql volatile
as $$
declare
    v_policy int;
    v_before jsonb;
begin
    perform router_internal._enter(p_tenant);
    select p.policy_id into v_policy
    from router.policies as p
    where p.tenant_id = p_tenant and p.name = p_name
    for no key update;
    v_before := router_internal._policy_state(p_tenant, v_policy);
    v_policy := router_internal._put_policy(p_tenant, p_name, p_backend, p_default, p_models, p_weights, p_settings);
    perform router_internal._log_policy_change(p_tenant, v_policy, 'put', v_before, p_by, null, null, p_now);
    return v_policy;
end;
$$;

comment on function router.put_policy is
'Add a policy to a tenant or change the one of that name; return its number.
A setting that is NULL keeps its value, or takes the default in a new policy. A change is an entry in policy_changes;
p_by: admin, cli or psql. Raises RT003 for an unknown model, RT004 if the backend weighs cost and a model has no price
for this tenant.';
