create function router._open_meter() returns trigger
language plpgsql
as $$
declare
    v_day timestamp := date_trunc('day', now() at time zone 'UTC');
begin
    -- Whoever admits or settles for this tenant has ended, and is in the sums, or begins when the meter is there.
    perform pg_advisory_xact_lock(hashtextextended('router.limits', new.tenant_id));
    insert into router.meters (limit_id, tenant_id, refilled_at, day, day_usd, month_usd, reserved_usd)
    select
        new.limit_id, new.tenant_id, now(), v_day::date,
        coalesce(sum(round(d.spent_usd::numeric, 12)) filter (where d.decided_at >= v_day at time zone 'UTC'), 0),
        coalesce(sum(round(d.spent_usd::numeric, 12)), 0),
        (
            select coalesce(sum(r.usd), 0)
            from router.reservations as r
            where r.tenant_id = new.tenant_id and (new.key_id is null or r.key_id = new.key_id)
        )
    from router.decisions as d
    where
        d.tenant_id = new.tenant_id and d.decided_at >= date_trunc('month', v_day) at time zone 'UTC'
        and (new.key_id is null or d.key_id = new.key_id);
    return null;
end;
$$;

comment on function router._open_meter is
'Gives a new limit its meter, with full buckets and what the ledger says was spent this day and month (UTC).';
