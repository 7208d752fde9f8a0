create function router.create_tenant(
    p_name text,
    p_memory_cap int default 5000,
    p_store_prompts boolean default true,
    p_route_explicit boolean default false
) returns int
language plpgsql volatile
as $$
declare
    v_tenant int := nextval(pg_get_serial_sequence('router.tenants', 'tenant_id'));
begin
    perform router_internal._enter(v_tenant);
    insert into router.tenants (tenant_id, name, memory_cap, store_prompts, route_explicit)
    values (v_tenant, p_name, p_memory_cap, p_store_prompts, p_route_explicit);
    return v_tenant;
end;
$$;

comment on function router.create_tenant is
'Create a tenant and return its number.
Raises unique_violation (23505) if the name is taken.';
