create function router.create_key(
    p_tenant int,
    p_key_hash bytea,
    p_hint text,
    p_name text default '',
    p_expires_at timestamptz default null,
    p_models text[] default null,
    p_scopes text[] default null
) returns int
language plpgsql volatile
as $$
declare
    v_key int;
begin
    perform router_internal._enter(p_tenant);
    insert into router.api_keys (tenant_id, key_hash, hint, name, expires_at, allowed_models, scopes)
    values (
        p_tenant, p_key_hash, p_hint, p_name, p_expires_at, router_internal._model_ids(p_models),
        router_internal._stored_scopes(p_scopes)
    )
    returning key_id into v_key;
    return v_key;
end;
$$;

comment on function router.create_key is
'Store the SHA-256 of a new key of a tenant and return the key''s number.
p_hint: its first characters. p_models: the models that may serve it; NULL or empty: all. p_scopes: what
it may do (ask, teach, manage); NULL or empty: everything, or with models all but manage. Raises RT003 for an unknown
model, RT014 for an unknown scope.';
