create function router_internal._granted_tenants() returns int4multirange
language sql stable
begin atomic
    -- A grant of every tenant has tenant_id NULL; the range from NULL to NULL holds all numbers.
    select range_agg(int4range(g.tenant_id, g.tenant_id, '[]'))
    from router.reader_grants as g
    where pg_has_role(g.role, 'usage');
end;

comment on function router_internal._granted_tenants is
'Return the tenants granted to the current role and to the roles it is a member of; NULL: none.
The policies of readers call it.';
