create function router.expire_reservations(p_tenant int, p_now timestamptz default now()) returns int
language plpgsql volatile
as $$
declare
    v_before timestamptz := p_now - interval '1 hour';
    v_gone int;
begin
    perform router_internal._enter(p_tenant), router_internal._lock_limits(p_tenant);
    perform from router_internal._meters_now(
        p_tenant,
        array(select r.key_id from router.reservations as r where r.tenant_id = p_tenant and r.reserved_at <= v_before),
        p_now
    );
    with released as (
        delete from router.reservations as r
        where r.tenant_id = p_tenant and r.reserved_at <= v_before
        returning r.key_id, r.usd
    ),
    sums as (
        select l.limit_id, sum(r.usd) as usd
        from router.limits as l
        inner join released as r on l.key_id is null or l.key_id = r.key_id
        where l.tenant_id = p_tenant
        group by l.limit_id
    ),
    freed as (
        update router.meters as m set reserved_usd = m.reserved_usd - s.usd
        from sums as s
        where m.limit_id = s.limit_id
    )
    select count(*) into v_gone from released;
    return v_gone;
end;
$$;

comment on function router.expire_reservations is
'Release what a tenant''s requests of more than an hour ago have reserved, because their process ended; return how many.
If such a request reaches the ledger later, it counts as one without a reservation.';
