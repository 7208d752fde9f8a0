create function router_internal._settle(
    p_tenant int, p_usages router_internal.request_usage[], p_now timestamptz default now()
) returns void
language plpgsql volatile
as $$
declare
    v_decisions uuid[];
    v_keys int[];
    v_meters router_internal.meter_now[];
begin
    perform router_internal._lock_limits(p_tenant);
    select array_agg(u.decision_id), array_agg(u.key_id) into v_decisions, v_keys from unnest(p_usages) as u;
    v_meters := array(select s from router_internal._meters_now(p_tenant, v_keys, p_now) as s);
    if v_meters = '{}' then
        -- Reservations under limits that were removed.
        delete from router.reservations as r where r.tenant_id = p_tenant and r.decision_id = any(v_decisions);
        return;
    end if;
    with released as (
        delete from router.reservations as r
        where r.tenant_id = p_tenant and r.decision_id = any(v_decisions)
        returning r.decision_id, r.usd, r.tokens
    ),
    entries as (
        select distinct on (e.decision_id)
            e.key_id,
            coalesce((uuid_extract_timestamp(e.decision_id) at time zone 'UTC')::date, s.day) as day,
            coalesce(case when e.usd >= 0 and e.usd < 1e9 then round(e.usd::numeric, 12) end, r.usd, 0) as spent,
            coalesce(r.usd, 0) as reserved,
            coalesce(e.tokens, r.tokens, 0) - coalesce(r.tokens, 0) as more_tokens
        from unnest(p_usages) as e
        cross join (select (p_now at time zone 'UTC')::date as day) as s
        left join released as r on r.decision_id = e.decision_id
        order by e.decision_id
    ),
    sums as (
        select
            s.limit_id, sum(e.reserved) as reserved, sum(e.more_tokens) as more_tokens,
            -- On the day of the decision, so that a recount of the ledger gives the same sums.
            coalesce(sum(e.spent) filter (where e.day >= s.day), 0) as day_spent,
            coalesce(sum(e.spent) filter (where e.day >= date_trunc('month', s.day::timestamp)::date), 0) as month_spent
        from unnest(v_meters) as s
        inner join entries as e on s.key_id is null or e.key_id = s.key_id
        group by s.limit_id
    )
    update router.meters as m set
        requests_left = s.requests_left,
        tokens_left = least(s.tokens_left - u.more_tokens, s.tokens_limit),
        refilled_at = greatest(m.refilled_at, p_now),
        day = s.day,
        day_usd = s.day_spent + u.day_spent,
        month_usd = s.month_spent + u.month_spent,
        reserved_usd = s.reserved - u.reserved
    from unnest(v_meters) as s
    inner join sums as u on u.limit_id = s.limit_id
    where m.limit_id = s.limit_id;
end;
$$;

comment on function router_internal._settle is
'End the reservations of a tenant''s requests and book what they cost on the day and the month.
The tenant must have been entered. Of each usage: usd NULL: what was reserved; tokens NULL: those reserved; unused
tokens go back to the bucket. Requests without a reservation count, too: limits may be newer than the request, or
Postgres did not answer when it was admitted. The entries must be new to the ledger, so that each is booked once.';
