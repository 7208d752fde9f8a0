create function router.admit(
    p_tenant int,
    p_key int,
    p_decision uuid,
    p_tokens int,
    p_costs double precision[],
    p_now timestamptz default now()
) returns table (
    admitted boolean, affordable boolean[], refused text, whose text, bound double precision,
    remaining double precision, retry_after double precision, requests_limit int, requests_remaining int,
    requests_reset double precision, tokens_limit int, tokens_remaining int, tokens_reset double precision
)
language plpgsql volatile
as $$
declare
    v_meters router_internal.meter_now[];
    v_meter router_internal.meter_now;
    v_tokens int := greatest(coalesce(p_tokens, 0), 0);
    v_cost double precision;
    v_usd numeric;
    v_left numeric;
    v_cheapest numeric;
    v_dearest numeric := 0;
    v_requests double precision;
    v_tokens_left double precision;
begin
    -- The commit does not wait for the disk. If Postgres crashes, the admissions of its last moments (three times
    -- wal_writer_delay, 0.6 s) may lose their reservations, and buckets may be that much fuller, until these requests
    -- are in the ledger, which is written durably and counts requests without a reservation. So spending may be
    -- counted late, but it is never lost.
    perform
        router_internal._enter(p_tenant),
        set_config('synchronous_commit', 'off', true),
        router_internal._lock_limits(p_tenant);
    v_meters := array(select s from router_internal._meters_now(p_tenant, array[p_key], p_now) as s);
    admitted := true;
    -- Loops instead of queries: for two meters and a few candidates they take a third of the time.
    foreach v_meter in array v_meters loop
        -- USD left under all budgets; least() ignores NULLs.
        v_left := least(
            v_left, v_meter.day_budget - v_meter.day_spent - v_meter.reserved,
            v_meter.month_budget - v_meter.month_spent - v_meter.reserved
        );
        if v_requests is null or v_meter.requests_left < v_requests then
            v_requests := v_meter.requests_left;
            requests_limit := v_meter.requests_limit;
        end if;
        if v_tokens_left is null or v_meter.tokens_left < v_tokens_left then
            v_tokens_left := v_meter.tokens_left;
            tokens_limit := v_meter.tokens_limit;
        end if;
        admitted := admitted and coalesce(v_meter.requests_left >= 1, true)
            and coalesce(v_meter.tokens_left >= v_tokens, true);
    end loop;
    affordable := '{}';
    foreach v_cost in array coalesce(p_costs, '{}') loop
        v_usd := case when v_cost >= 0 and v_cost < 1e9 then round(v_cost::numeric, 12) end;
        v_cheapest := least(v_cheapest, v_usd);
        affordable := affordable || (v_left is null or coalesce(v_usd <= greatest(v_left, 0), false));
        if affordable[cardinality(affordable)] then
            v_dearest := greatest(v_dearest, v_usd);
        end if;
    end loop;
    admitted := admitted and (v_left is null or case
        when affordable = '{}' then v_left > 0
        else true = any(affordable)
    end);

    if not admitted then
        select r.refused, r.whose, r.bound, r.remaining, r.retry_after
        into refused, whose, bound, remaining, retry_after
        from router_internal._refusal(v_meters, v_tokens, affordable = '{}', v_cheapest, p_now) as r;
    elsif v_meters <> '{}' then
        -- Each by its key: a join planned while there were few meters would read all of them.
        foreach v_meter in array v_meters loop
            update router.meters as m set
                requests_left = v_meter.requests_left - 1,
                tokens_left = v_meter.tokens_left - v_tokens,
                refilled_at = greatest(m.refilled_at, p_now),
                day = v_meter.day,
                day_usd = v_meter.day_spent,
                month_usd = v_meter.month_spent,
                reserved_usd = v_meter.reserved + v_dearest
            where m.limit_id = v_meter.limit_id;
        end loop;
        if v_dearest > 0 or v_tokens > 0 then
            insert into router.reservations (tenant_id, decision_id, key_id, usd, tokens, reserved_at)
            values (p_tenant, p_decision, p_key, v_dearest, v_tokens, p_now);
        end if;
        v_requests := v_requests - 1;
        v_tokens_left := v_tokens_left - v_tokens;
    end if;
    if requests_limit is not null then
        requests_remaining := floor(greatest(v_requests, 0));
        requests_reset := (requests_limit - v_requests) * 60 / requests_limit;
    end if;
    if tokens_limit is not null then
        tokens_remaining := floor(greatest(v_tokens_left, 0));
        tokens_reset := (tokens_limit - v_tokens_left) * 60 / tokens_limit;
    end if;
    return next;
end;
$$;

comment on function router.admit is
'Admit a request or refuse it under the limits of its tenant and key; if admitted, count it and reserve its cost.
p_tokens: tokens it may use. p_costs: USD that each candidate is expected to cost, best first (NULL: unpriced; empty:
no model). An admitted request takes one request and its tokens from the buckets of key and tenant, and reserves the
dearest candidate that the budgets allow (affordable) until _settle. Under a budget no unpriced candidate is
affordable. refused: requests, tokens, day or month; whose: key or tenant; of several limits the one that stays
exceeded for longest, with that limit (bound), what is left of it (remaining) and the seconds until it admits
(retry_after; NULL: never). The other columns are for headers, of the tighter of key and tenant; reset: seconds until
the bucket is full. A refused request is not counted. Admitting the same decision twice raises unique_violation
(23505).';
