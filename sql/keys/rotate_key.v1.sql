create function router.rotate_key(
    p_tenant int,
    p_key int,
    p_key_hash bytea,
    p_hint text,
    p_until timestamptz default null,
    p_now timestamptz default now()
) returns int
language plpgsql volatile
as $$
declare
    v_key int;
begin
    perform router_internal._enter(p_tenant);
    insert into router.api_keys (tenant_id, key_hash, hint, name, expires_at, allowed_models, scopes)
    select k.tenant_id, p_key_hash, p_hint, k.name, k.expires_at, k.allowed_models, k.scopes
    from router.api_keys as k
    where
        k.tenant_id = p_tenant and k.key_id = p_key
        and k.revoked_at is null and (k.expires_at is null or k.expires_at > p_now)
    -- If two sessions rotate it at the same time, the second waits and finds it revoked.
    for update
    returning key_id into v_key;
    if v_key is null then
        return null;
    end if;
    insert into router.limits (tenant_id, key_id, requests_per_minute, tokens_per_minute, day_usd, month_usd)
    select l.tenant_id, v_key, l.requests_per_minute, l.tokens_per_minute, l.day_usd, l.month_usd
    from router.limits as l
    where l.tenant_id = p_tenant and l.key_id = p_key;
    -- What the old key spent counts for the new one.
    update router.meters as m set day = o.day, day_usd = o.day_usd, month_usd = o.month_usd
    from router.limits as l, router.limits as k, router.meters as o
    where
        l.tenant_id = p_tenant and l.key_id = v_key and m.limit_id = l.limit_id
        and k.tenant_id = p_tenant and k.key_id = p_key and o.limit_id = k.limit_id;
    update router.api_keys set
        revoked_at = case when p_until > p_now then revoked_at else p_now end,
        expires_at = case when p_until > p_now then least(p_until, expires_at) else expires_at end
    where tenant_id = p_tenant and key_id = p_key;
    return v_key;
end;
$$;

comment on function router.rotate_key is
'Replace a valid key by a new one and return the new key''s number; NULL if the tenant has no such valid key.
The new key takes over name, expiry, models, scopes and limits, with what was spent of them. The old key is refused from
p_until on; NULL: at once.';
