create function router.is_foreign(p_tenant int, p_response bytea) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
    select
        exists (select 1 from router.responses as r where r.response = p_response and r.tenant_id <> p_tenant)
        and not exists (select 1 from router.responses as r where r.response = p_response and r.tenant_id = p_tenant);
end;

comment on function router.is_foreign is
'Return whether a provider stores a response or conversation for another tenant and not for this one.
p_response: 16 bytes of the id''s hash. Runs as its owner, because row security hides the rows of other tenants; it
returns nothing else of them.';
