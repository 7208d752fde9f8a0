create function router_internal._open_meter() returns trigger
language plpgsql
as $$
declare
    v_day timestamptz := date_trunc('day', now() at time zone 'UTC') at time zone 'UTC';
    v_month timestamptz := date_trunc('month', now() at time zone 'UTC') at time zone 'UTC';
    v_recent timestamptz := now() - interval '10 minutes';
begin
    -- The month's ledger may be long: the part that no longer changes is summed before the lock is taken.
    insert into router.meters (limit_id, tenant_id, refilled_at, day, day_usd, month_usd, reserved_usd)
    select
        new.limit_id, new.tenant_id, now(), (now() at time zone 'UTC')::date,
        coalesce(sum(round(d.spent_usd::numeric, 12)) filter (where d.decided_at >= v_day), 0),
        coalesce(sum(round(d.spent_usd::numeric, 12)), 0), 0
    from router.decisions as d
    where
        d.tenant_id = new.tenant_id and d.decided_at >= v_month and d.decided_at < v_recent
        and (new.key_id is null or d.key_id = new.key_id);
    -- With the lock, every admission or settlement of this tenant has ended, or will find the meter.
    perform router_internal._lock_limits(new.tenant_id);
    update router.meters as m set
        day_usd = m.day_usd + s.day_usd,
        month_usd = m.month_usd + s.month_usd,
        reserved_usd = (
            select coalesce(sum(r.usd), 0)
            from router.reservations as r
            where r.tenant_id = new.tenant_id and (new.key_id is null or r.key_id = new.key_id)
        )
    from (
        select
            coalesce(sum(round(d.spent_usd::numeric, 12)) filter (where d.decided_at >= v_day), 0) as day_usd,
            coalesce(sum(round(d.spent_usd::numeric, 12)), 0) as month_usd
        from router.decisions as d
        where
            d.tenant_id = new.tenant_id and d.decided_at >= greatest(v_month, v_recent)
            and (new.key_id is null or d.key_id = new.key_id)
    ) as s
    where m.limit_id = new.limit_id;
    return null;
end;
$$;

comment on function router_internal._open_meter is
'Trigger: create the meter of a new limit, with full buckets and the USD spent this day and month (UTC) by the ledger.';
