create function router.put_limits(
    p_tenant int,
    p_key int,
    p_requests_per_minute int,
    p_tokens_per_minute int,
    p_day_usd double precision,
    p_month_usd double precision
) returns boolean
language plpgsql volatile
as $$
declare
    v_had boolean;
begin
    perform router_internal._enter(p_tenant);
    if not exists (select from router.tenants where tenant_id = p_tenant) then
        raise exception 'there is no tenant %', p_tenant using errcode = 'RT001', column = 'tenant';
    end if;
    if p_key is not null and not exists (
        select from router.api_keys where tenant_id = p_tenant and key_id = p_key
    ) then
        raise exception 'the tenant has no key %', p_key using errcode = 'RT013', column = 'key';
    end if;
    v_had := exists (
        select from router.limits as l where l.tenant_id = p_tenant and l.scope = coalesce(p_key, 0)
    );
    if coalesce(p_requests_per_minute, p_tokens_per_minute, p_day_usd, p_month_usd) is null then
        delete from router.limits where tenant_id = p_tenant and scope = coalesce(p_key, 0);
        return v_had;
    end if;
    insert into router.limits (tenant_id, key_id, requests_per_minute, tokens_per_minute, day_usd, month_usd)
    values (p_tenant, p_key, p_requests_per_minute, p_tokens_per_minute, p_day_usd, p_month_usd)
    on conflict on constraint limits_key do update set
        requests_per_minute = excluded.requests_per_minute,
        tokens_per_minute = excluded.tokens_per_minute,
        day_usd = excluded.day_usd,
        month_usd = excluded.month_usd;
    return v_had;
end;
$$;

comment on function router.put_limits is
'Set what a tenant, or one of its keys, may use: requests and tokens a minute, USD a day and a month (UTC).
NULL: no limit; all NULL: remove the limits. What the ledger shows as spent this month counts. Returns whether there
were limits before. Raises RT001 for an unknown tenant, RT013 for a key of another tenant.';
