create function router.change_key(
    p_tenant int,
    p_key int,
    p_name text default null,
    p_expires_at timestamptz default null,
    p_models text[] default null,
    p_scopes text[] default null
) returns boolean
language plpgsql volatile
as $$
begin
    perform router_internal._enter(p_tenant);
    update router.api_keys set
        name = coalesce(p_name, name),
        expires_at = case when p_expires_at is null then expires_at else nullif(p_expires_at, 'infinity') end,
        allowed_models = case when p_models is null then allowed_models else router_internal._model_ids(p_models) end,
        scopes = case when p_scopes is null then scopes else router_internal._stored_scopes(p_scopes) end
    where tenant_id = p_tenant and key_id = p_key;
    return found;
end;
$$;

comment on function router.change_key is
'Change a key; NULL leaves a setting as it is. False: the tenant has no such key.
p_expires_at infinity: it never expires. p_models empty: all models. p_scopes empty: those of a key without
scopes of its own. Raises RT003 for an unknown model, RT014 for an unknown scope.';
