create function router_internal._granted_tenants() returns int4multirange
language sql stable
begin atomic
    -- A grant of every tenant is NULL, and the range from NULL to NULL is that of all numbers.
    select range_agg(int4range(g.tenant_id, g.tenant_id, '[]'))
    from router.reader_grants as g
    where pg_has_role(g.role, 'usage');
end;

comment on function router_internal._granted_tenants is
'The tenants that the current role, or one it is a member of, was granted; NULL: none. For the policies of readers.';
