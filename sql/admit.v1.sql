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
    v_standing router.standing[];
    v_tokens int := greatest(coalesce(p_tokens, 0), 0);
    v_costs numeric[];
    v_usd numeric;
    v_today timestamp := date_trunc('day', p_now at time zone 'UTC');
begin
    -- Nobody waits for the disk. If Postgres crashes, what it admitted in its last moments (three times
    -- wal_writer_delay, 0.6 s) may not be reserved any more, and the buckets may be that much fuller: until these
    -- requests are in the ledger, which is written durably and counts what has no reservation. Money is late then, by
    -- what was under way, and never lost.
    perform
        router._enter(p_tenant),
        set_config('synchronous_commit', 'off', true),
        pg_advisory_xact_lock_shared(hashtextextended('router.limits', p_tenant));
    v_standing := array(select s from router._standing(p_tenant, array[p_key], p_now) as s);
    v_costs := array(
        select case when c.usd >= 0 and c.usd < 1e9 then round(c.usd::numeric, 12) end
        from unnest(p_costs) with ordinality as c (usd, turn)
        order by c.turn
    );
    -- What all budgets leave; nothing is dearer than no budget.
    select
        coalesce(array_agg(b.usd is null or coalesce(c.usd <= greatest(b.usd, 0), false) order by c.turn), '{}'),
        coalesce(max(c.usd) filter (where b.usd is null or c.usd <= greatest(b.usd, 0)), 0)
    into affordable, v_usd
    from unnest(v_costs) with ordinality as c (usd, turn)
    cross join (
        select min(least(s.day_budget - s.day_spent, s.month_budget - s.month_spent) - s.reserved) as usd
        from unnest(v_standing) as s
    ) as b;

    -- Of several limits the one that is in the way for longest is the one to name.
    select r.refused, case when s.key_id is null then 'tenant' else 'key' end, r.bound, r.remaining, r.wait
    into refused, whose, bound, remaining, retry_after
    from unnest(v_standing) as s
    cross join lateral (
        values
        ('requests', s.requests_limit, s.requests_left, case
            when s.requests_left < 1 then (1 - s.requests_left) * 60 / s.requests_limit
        end),
        ('tokens', s.tokens_limit, s.tokens_left, case
            when v_tokens > s.tokens_limit then 'infinity'
            when s.tokens_left < v_tokens then (v_tokens - s.tokens_left) * 60 / s.tokens_limit
        end),
        ('day', s.day_budget, s.day_budget - s.day_spent - s.reserved, extract(
            epoch from (v_today + interval '1 day') at time zone 'UTC' - p_now
        )),
        ('month', s.month_budget, s.month_budget - s.month_spent - s.reserved, extract(
            epoch from (date_trunc('month', v_today) + interval '1 month') at time zone 'UTC' - p_now
        ))
    ) as r (refused, bound, remaining, wait)
    where
        r.wait is not null
        and (
            r.refused in ('requests', 'tokens')
            or case
                when cardinality(v_costs) = 0 then r.remaining <= 0
                else not coalesce((select min(c.usd) from unnest(v_costs) as c (usd)) <= greatest(r.remaining, 0), false)
                    and r.bound is not null
            end
        )
    order by r.wait desc, s.key_id nulls last
    limit 1;
    admitted := not found;
    retry_after := nullif(retry_after, 'infinity');

    if admitted and v_standing <> '{}' then
        with charged as (
            update router.meters as m set
                requests_left = s.requests_left - 1,
                tokens_left = s.tokens_left - v_tokens,
                refilled_at = greatest(m.refilled_at, p_now),
                day = s.day,
                day_usd = s.day_spent,
                month_usd = s.month_spent,
                reserved_usd = s.reserved + v_usd
            from unnest(v_standing) as s
            where m.limit_id = s.limit_id
        )
        insert into router.reservations (tenant_id, decision_id, key_id, usd, tokens, reserved_at)
        select p_tenant, p_decision, p_key, v_usd, v_tokens, p_now
        where v_usd > 0 or v_tokens > 0;
    end if;
    select
        r.requests_limit, r.remaining, (r.requests_limit - r.left_now) * 60 / r.requests_limit,
        t.tokens_limit, t.remaining, (t.tokens_limit - t.left_now) * 60 / t.tokens_limit
    into requests_limit, requests_remaining, requests_reset, tokens_limit, tokens_remaining, tokens_reset
    from (values (admitted::int)) as a (counted)
    left join lateral (
        select
            s.requests_limit, s.requests_left - a.counted as left_now,
            floor(greatest(s.requests_left - a.counted, 0)) as remaining
        from unnest(v_standing) as s
        where s.requests_limit is not null
        order by s.requests_left
        limit 1
    ) as r on true
    left join lateral (
        select
            s.tokens_limit, s.tokens_left - a.counted * v_tokens as left_now,
            floor(greatest(s.tokens_left - a.counted * v_tokens, 0)) as remaining
        from unnest(v_standing) as s
        where s.tokens_limit is not null
        order by s.tokens_left
        limit 1
    ) as t on true;
    return next;
end;
$$;

comment on function router.admit is
'Whether a request may be made now, and by which candidates: p_costs has the USD that each is expected to cost, best
first (NULL: unpriced; empty: no model), p_tokens what the request may take. Admitted, it takes a request and its tokens
from the buckets of key and tenant, and reserves the dearest of what the budgets leave (affordable) until _settle.
refused: requests, tokens, day or month, and whose (key, tenant): of several the one that is in the way for longest;
bound, remaining: that limit and what is left; retry_after: seconds until it is not in the way, NULL: never. The rest is
for headers, seconds until the bucket is full, of the tighter of key and tenant. Under a budget nothing unpriced is
affordable. Refused, nothing is counted. Admitting a decision again is an error (23505).';
