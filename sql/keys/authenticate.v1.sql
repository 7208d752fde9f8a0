create function router.authenticate(p_key_hash bytea, p_now timestamptz default now())
returns table (
    tenant_id int, tenant text, key_id int, expires_at timestamptz, route_explicit boolean,
    space_id smallint, space text, next_space_id smallint, next_space text,
    default_provider text, allowed_models smallint[], metered boolean,
    scopes text[]
)
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
    select
        t.tenant_id, t.name, k.key_id, k.expires_at, t.route_explicit, t.space_id, s.name, t.next_space_id, n.name,
        p.name, k.allowed_models,
        exists(
            select 1 from router.limits as l
            where l.tenant_id = k.tenant_id and (l.key_id is null or l.key_id = k.key_id)
        ),
        router_internal._scopes(k.scopes, k.allowed_models)
    from router.api_keys as k
    inner join router.tenants as t on t.tenant_id = k.tenant_id
    left join router.spaces as s on s.space_id = t.space_id
    left join router.spaces as n on n.space_id = t.next_space_id
    left join router.providers as p on p.provider_id = t.default_provider
    where
        k.key_hash = p_key_hash
        and k.revoked_at is null
        and (k.expires_at is null or k.expires_at > p_now);
end;

comment on function router.authenticate is
'Return the caller for the SHA-256 of a valid key; no row if there is none.
allowed_models: the models that may serve it; NULL: all. metered: the key or its tenant has limits.
scopes: what it may do: ask, teach, manage. Runs as its owner,
because it finds the tenant and so cannot have entered it.';
