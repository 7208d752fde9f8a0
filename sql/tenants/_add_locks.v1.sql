create function router_internal._add_locks() returns trigger
language plpgsql
as $$
begin
    insert into router.tenant_locks (tenant_id, purpose)
    select new.tenant_id, p.purpose
    from unnest('{memory,limits}'::text[]) as p (purpose);
    return null;
end;
$$;

comment on function router_internal._add_locks is
'Trigger: give a new tenant its rows of tenant_locks.';
