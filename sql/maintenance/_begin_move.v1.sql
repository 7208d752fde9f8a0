create function router_internal._begin_move(p_tenant int) returns void
language plpgsql volatile
as $$
begin
    perform from router_internal.job_locks as l where l.job = 'move' for no key update skip locked;
    if not found then
        raise exception 'another session is moving memories' using errcode = 'RT006',
            hint = 'One tenant is moved at a time; try again when that is done.';
    end if;
    perform router_internal._enter(p_tenant);
    if not exists (select from router.tenants where tenant_id = p_tenant) then
        raise exception 'there is no tenant %', p_tenant using errcode = 'RT001';
    end if;
end;
$$;

comment on function router_internal._begin_move is
'Begin to move a tenant''s memories between tiers; only one session of the database may do so at a time.
Raises RT001 for an unknown tenant, RT006 while another session moves memories.';
