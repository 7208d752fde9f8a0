create function router_internal._enter(p_tenant int) returns text
language sql volatile
begin atomic
    select set_config('router.tenant_id', p_tenant::text, true);
end;

comment on function router_internal._enter is
'Enter a tenant: make its rows visible until the transaction ends. Every function that takes a tenant calls it first.';
