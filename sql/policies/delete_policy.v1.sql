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
'Delete a policy of a tenant; false if there is none of that name. Its decisions stay in the ledger.';
