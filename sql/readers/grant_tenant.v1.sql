create function router.grant_tenant(p_role name, p_tenant int) returns boolean
language plpgsql volatile
as $$
declare
    v_role regrole;
begin
    select r.oid into v_role from pg_catalog.pg_roles as r where r.rolname = p_role;
    if not found then
        raise exception 'there is no role "%"', p_role using errcode = 'RT009', column = 'role';
    end if;
    if p_tenant is not null and not exists (select from router.tenants as t where t.tenant_id = p_tenant) then
        raise exception 'there is no tenant %', p_tenant using errcode = 'RT001';
    end if;
    if exists (
        select from pg_catalog.pg_roles as r
        where r.rolbypassrls and r.oid = v_role
        union all
        select from pg_catalog.pg_class as c
        where c.oid = 'router.tenants'::regclass
            and (pg_has_role(v_role, c.relowner, 'member') or pg_has_role(v_role, 'router_app', 'member'))
    ) then
        raise exception 'role "%" is a superuser, the owner or a member of router_app: no grant limits what it sees', p_role
            using errcode = 'RT009', column = 'role';
    end if;
    if not pg_has_role(v_role, 'router_reader', 'usage') then
        begin
            execute format('grant router_reader to %I with inherit true', p_role);
        exception
            when insufficient_privilege then
                raise exception '% may not make readers, an administrator has to: grant router_reader to %',
                    current_user, quote_ident(p_role) using errcode = 'RT009', column = 'role';
        end;
    end if;
    delete from router.reader_grants as g
    where not exists (select from pg_catalog.pg_roles as r where r.oid = g.role)
        or (p_tenant is null and g.role = v_role and g.tenant_id is not null);
    insert into router.reader_grants (role, tenant_id)
    select v_role, p_tenant
    where not exists (select from router.reader_grants as g where g.role = v_role and g.tenant_id is null)
    on conflict on constraint reader_grants_key do nothing;
    return found;
end;
$$;

comment on function router.grant_tenant is
'Let a role (a login or a group) read one tenant, or every tenant if p_tenant is NULL; false if it could already.
The role becomes a member of router_reader. Raises RT001 for an unknown tenant, RT009 for an unknown role, or for one
that row level security does not limit (the owner, superusers, members of router_app).';
