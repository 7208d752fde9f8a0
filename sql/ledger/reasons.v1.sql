create function router.reasons(p_tenant int, p_since timestamptz, p_until timestamptz default now())
returns table (
    policy text, reason router.reason, requests bigint, share double precision, last_at timestamptz
)
language plpgsql stable
as $$
begin
    perform router_internal._enter(p_tenant);
    return query
    select
        p.name, d.reason, count(*), (count(*) / sum(count(*)) over ())::double precision, max(d.decided_at)
    from router.decisions as d
    left join router.policies as p on p.tenant_id = p_tenant and p.policy_id = d.policy_id
    where d.tenant_id = p_tenant and d.decided_at >= p_since and d.decided_at < p_until
    group by p.name, d.reason
    order by 3 desc, 1, 2;
end;
$$;

comment on function router.reasons is
'Count a tenant''s requests from p_since to p_until, exclusive, by policy and reason, the most frequent first.
policy NULL: the request named a model, or the policy was deleted. share: of all requests of that time.';
