create view router.overview with (security_invoker = true) as
select
    t.name as tenant,
    p.name as policy,
    p.backend,
    d.name as default_model,
    coalesce(n.memories, 0) as memories,
    p.seed_count,
    p.backend <> 'knn' or greatest(n.memories, b.memories, 0) >= greatest(p.seed_count, 1) as ready,
    coalesce(n.tier = 1, false) as graduated,
    r.decisions,
    r.to_default,
    r.spent_usd,
    r.default_usd,
    round((100 * (1 - r.spent_usd / nullif(r.default_usd, 0)))::numeric, 1) as saved_percent
from router.tenants as t
inner join router.policies as p on p.tenant_id = t.tenant_id
inner join router.models as d on d.model_id = p.default_model
left join lateral (
    -- If no space was chosen for the tenant yet, its fullest space serves it.
    select c.memories, c.tier, c.space_id
    from router.memory_counts as c
    where c.tenant_id = t.tenant_id and (t.space_id is null or c.space_id = t.space_id)
    order by c.memories desc, c.space_id
    limit 1
) as n on true
left join lateral (
    select max(c.memories) as memories
    from router.tenants as s
    inner join router.memory_counts as c on c.tenant_id = s.tenant_id
    where
        s.tenant_id = t.base_id and s.shared and p.base_weight > 0
        and c.space_id = coalesce(t.space_id, n.space_id, c.space_id)
) as b on true
left join lateral (
    select
        count(*) as decisions,
        count(*) filter (where l.model_id = p.default_model) as to_default,
        sum(l.spent_usd) filter (where l.default_usd is not null) as spent_usd,
        sum(l.default_usd) filter (where l.spent_usd is not null) as default_usd
    from router.decisions as l
    where
        l.tenant_id = t.tenant_id and l.policy_id = p.policy_id
        and l.decided_at > now() - interval '24 hours'
) as r on true
order by t.name, p.name;

comment on view router.overview is 'Each policy with the size of its memory and its last 24 hours.';
comment on column router.overview.tenant is 'Name of the tenant.';
comment on column router.overview.policy is 'Name of the policy, the value of `model` in requests.';
comment on column router.overview.backend is 'How it ranks candidates.';
comment on column router.overview.default_model is 'The model that serves when a decision is declined.';
comment on column router.overview.memories is 'Memories of the tenant in the space that serves it.';
comment on column router.overview.seed_count is 'Memories needed before it decides.';
comment on column router.overview.ready is 'Whether it decides by a memory, its own or a shared one.';
comment on column router.overview.graduated is 'Whether the memories have a partition with an HNSW index.';
comment on column router.overview.decisions is 'Requests in the last 24 hours.';
comment on column router.overview.to_default is 'Requests that the default model served.';
comment on column router.overview.spent_usd is 'Cost of these requests, as far as it is known.';
comment on column router.overview.default_usd is 'Cost of the same tokens at the default model''s prices.';
comment on column router.overview.saved_percent is 'The difference, in percent of default_usd.';
