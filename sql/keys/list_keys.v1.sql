create function router.list_keys(p_tenant int) returns table (
    key_id int,
    hint text,
    name text,
    created_at timestamptz,
    expires_at timestamptz,
    revoked_at timestamptz,
    models text[],
    scopes text[]
)
language plpgsql stable
as $$
begin
    perform router_internal._enter(p_tenant);
    return query
    select
        k.key_id, k.hint, k.name, k.created_at, k.expires_at, k.revoked_at,
        case when k.allowed_models is not null then array(
            select m.name from router.models as m where m.model_id = any(k.allowed_models) order by m.name
        ) end,
        router_internal._scopes(k.scopes, k.allowed_models)
    from router.api_keys as k
    where k.tenant_id = p_tenant
    order by k.key_id;
end;
$$;

comment on function router.list_keys is
'List the keys of a tenant in the order of their creation, also revoked and expired ones, never their hashes.
models: those that may serve the key; NULL: all. scopes: what it may do.';
