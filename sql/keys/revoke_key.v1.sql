create function router.revoke_key(p_tenant int, p_key int, p_now timestamptz default now()) returns boolean
language plpgsql volatile
as $$
begin
    perform router_internal._enter(p_tenant);
    update router.api_keys set revoked_at = coalesce(revoked_at, p_now) where tenant_id = p_tenant and key_id = p_key;
    return found;
end;
$$;

comment on function router.revoke_key is
'Revoke a key; false if the tenant has no such key. Revoking it again keeps the first date.';
