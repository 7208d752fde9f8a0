create function router.revoke_tenant(p_role name, p_tenant int) returns int
language plpgsql volatile
as $$
declare
    v_role regrole;
    v_gone int;
begin
    select r.oid into v_role from pg_catalog.pg_roles as r where r.rolname = p_role;
    if not found then
        raise exception 'there is no role "%"', p_role using errcode = 'RT009', column = 'role';
    end if;
    if p_tenant is not null and exists (
        select from router.reader_grants as g where g.role = v_role and g.tenant_id is null
    ) then
        raise exception 'role "%" reads every tenant: revoke that, then grant those it is to keep', p_role
            using errcode = 'RT009', column = 'role';
    end if;
    delete from router.reader_grants as g where not exists (select from pg_catalog.pg_roles as r where r.oid = g.role);
    delete from router.reader_grants as g where g.role = v_role and (p_tenant is null or g.tenant_id = p_tenant);
    get diagnostics v_gone = row_count;
    return v_gone;
end;
$$;

comment on function router.revoke_tenant is
'Revoke the grant of one tenant from a reader, or all of its grants if p_tenant is NULL; return how many there were.
The role stays a member of router_reader, and sees nothing without a grant. Raises RT009 for an unknown role, or to
revoke one tenant from a role that was granted every tenant.';
