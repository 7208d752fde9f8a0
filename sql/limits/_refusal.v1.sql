create function router_internal._refusal(
    p_meters router_internal.meter_now[], p_tokens int, p_modelless boolean, p_cheapest numeric, p_now timestamptz
) returns table (
    refused text, whose text, bound double precision, remaining double precision, retry_after double precision
)
language sql immutable
begin atomic
    select
        r.refused, case when s.key_id is null then 'tenant' else 'key' end, r.bound, r.remaining,
        nullif(r.wait, 'infinity')
    from unnest(p_meters) as s
    cross join (select date_trunc('day', p_now at time zone 'UTC') as today) as t
    cross join lateral (
        values
        ('requests', s.requests_limit, s.requests_left, case
            when s.requests_left < 1 then (1 - s.requests_left) * 60 / s.requests_limit
        end),
        ('tokens', s.tokens_limit, s.tokens_left, case
            when p_tokens > s.tokens_limit then 'infinity'
            when s.tokens_left < p_tokens then (p_tokens - s.tokens_left) * 60 / s.tokens_limit
        end),
        ('day', s.day_budget, s.day_budget - s.day_spent - s.reserved, extract(
            epoch from (t.today + interval '1 day') at time zone 'UTC' - p_now
        )),
        ('month', s.month_budget, s.month_budget - s.month_spent - s.reserved, extract(
            epoch from (date_trunc('month', t.today) + interval '1 month') at time zone 'UTC' - p_now
        ))
    ) as r (refused, bound, remaining, wait)
    where
        r.wait is not null
        and (
            r.refused in ('requests', 'tokens')
            or case
                when p_modelless then r.remaining <= 0
                else r.bound is not null and coalesce(p_cheapest > greatest(r.remaining, 0), true)
            end
        )
    -- Of several limits, the one that stays exceeded for longest is reported.
    order by r.wait desc, s.key_id nulls last
    limit 1;
end;

comment on function router_internal._refusal is
'Return the limit to report for a refused request, and the seconds until it admits (retry_after; NULL: never).
p_tokens: tokens the request may use; p_modelless: it names no model, so any budget above zero admits it; p_cheapest:
USD of its cheapest candidate; NULL: none has a price.';
