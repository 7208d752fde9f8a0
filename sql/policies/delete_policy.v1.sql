create function router.delete_policy(p_tenant int, p_name text) returns boolean
language plpgsql volatile
as $$
begin
    perform router_internal._enter(p_tenant);
    delete from router.policies where tenant_id = p_tenant and name = p_name;
    return found;
end;
$$;

comment on function router.delete_policy is
'Deletes a policy of a tenant; its decisions stay in the ledger. False when the tenant has none of that name.';
