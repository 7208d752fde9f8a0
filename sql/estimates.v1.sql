create function router.estimates(
    p_tenant int,
    p_policy int,
    p_space smallint,
    p_embedding halfvec,
    p_task text,
    p_prompt_tokens int,
    p_default smallint,
    p_models smallint[] default null,
    p_alpha double precision default null,
    p_current smallint default null,
    p_cached_tokens int default 0,
    p_base router.base_sums[] default null
) returns table (
    model_id smallint, quality double precision, labels bigint, confidence double precision,
    completion_tokens double precision, cost_usd double precision, score double precision,
    support double precision, prior double precision, n0 double precision, known int,
    prompt_tokens double precision, cached_tokens double precision,
    input_price double precision, cached_input_price double precision, output_price double precision,
    unit_usd double precision, alpha double precision, penalty double precision, base_support double precision
)
language sql stable
begin atomic
    with settings as materialized (
        select
            p.k, p.tau, p.n0, p.n0_task, p.n1, coalesce(p_alpha, p.alpha) as alpha, p.switch_penalty, t.task_id,
            coalesce(c.prompt_tokens::double precision / nullif(c.memories, 0), p_prompt_tokens) as mean_prompt,
            p.base_weight / nullif(p.base_weight + coalesce(c.memories, 0), 0) as base_share
        from router.policies as p
        left join router.memory_counts as c on c.tenant_id = p_tenant and c.space_id = p_space
        left join router.tasks as t on t.tenant_id = p_tenant and t.name = p_task
        where p.tenant_id = p_tenant and p.policy_id = p_policy
    ),
    -- Materialized, or the scan for neighbours would be repeated for each candidate.
    near as materialized (
        -- The server reports an underflow where a product would be too small; so little a weight is none.
        select n.quality, n.completion_tokens, exp(greatest((n.similarity - 1) / s.tau, -600)) as weight
        from settings as s
        cross join lateral router.neighbours(p_tenant, p_space, p_embedding, s.k) as n
        where p_embedding is not null
    ),
    blended as (
        select
            m.model_id, s.alpha, s.mean_prompt, r.ratio, p.n0, p.quality as prior, t.tokens as mean_tokens,
            coalesce(a.labels, 0) as known,
            coalesce(o.input_price, m.input_price) as input_price,
            coalesce(o.output_price, m.output_price) as output_price,
            case when o.model_id is null then coalesce(m.cached_input_price, m.input_price)
                else coalesce(o.cached_input_price, o.input_price)
            end as cached_price,
            p_prompt_tokens * r.ratio as prompt,
            case when m.model_id = p_current
                then least(p_cached_tokens, p_prompt_tokens * r.ratio) else 0
            end as cached,
            case when m.model_id <> p_current then s.switch_penalty else 0 end as penalty,
            v.labels,
            coalesce(v.support, 0) as support,
            coalesce(s.base_share * b.support, 0) as base_support,
            coalesce(v.support / nullif(v.support + p.n0, 0), 0) as confidence,
            router._blend(v.quality, v.support, p.n0, p.quality) as quality,
            router._blend(v.tokens, v.token_support, p.n0, p.tokens) as tokens
        from settings as s
        inner join router.models as m
            on m.enabled and (
                m.model_id = p_default or (
                    (p_models is null or m.model_id = any(p_models))
                    and m.model_id = any(array(
                        select c.model_id from router.policy_models as c
                        where c.tenant_id = p_tenant and c.policy_id = p_policy
                    ))
                )
            )
        left join router.tenant_prices as o on o.tenant_id = p_tenant and o.model_id = m.model_id
        left join router.speeds as f on f.tenant_id = p_tenant and f.model_id = m.model_id
        left join router.priors as a
            on a.tenant_id = p_tenant and a.space_id = p_space and a.task_id = 0 and a.model_id = m.model_id
        -- The task by a query of its own: joined, the priors of all of the tenant's tasks may be read.
        left join router.priors as k
            on k.tenant_id = p_tenant and k.space_id = p_space and k.model_id = m.model_id
            and k.task_id = (select g.task_id from settings as g)
        left join unnest(p_base) as b on b.model_id = m.model_id
        cross join lateral (select coalesce(f.token_ratio, 1) as ratio) as r
        cross join lateral (
            -- Limits, or what is in here would be computed wherever it is used. The tenant's means: few known answer
            -- lengths lean on those that the provider reported for its requests.
            select
                router._prior(a.quality_sum, a.labels, s.n1, b.mean_quality) as quality,
                router._prior(
                    a.completion_sum, a.completions, s.n1, coalesce(f.completion_tokens, b.mean_tokens)
                ) as tokens
            limit 1
        ) as t
        cross join lateral (
            select
                case when k.labels > 0 then s.n0_task else s.n0 end as n0,
                router._prior(k.quality_sum, k.labels, s.n1, t.quality) as quality,
                router._prior(k.completion_sum, k.completions, s.n1, t.tokens) as tokens
            limit 1
        ) as p
        cross join lateral (
            select
                count(l.quality) + coalesce(b.labels, 0) as labels,
                router._plus(sum(l.weight) filter (where l.quality is not null), s.base_share * b.support) as support,
                router._plus(sum(l.weight * l.quality), s.base_share * b.quality_sum) as quality,
                router._plus(
                    sum(l.weight) filter (where l.tokens is not null), s.base_share * b.token_support
                ) as token_support,
                router._plus(sum(l.weight * l.tokens), s.base_share * b.token_sum) as tokens
            from (
                select n.weight, n.quality[m.model_id] as quality, n.completion_tokens[m.model_id] as tokens
                from near as n
                -- Or the arrays would be read once for each of the sums.
                offset 0
            ) as l
        ) as v
    ),
    sized as (
        select b.*, coalesce(b.tokens, avg(b.tokens) over (), 256) as expected_tokens
        from blended as b
    ),
    costed as (
        select
            b.*,
            (
                (b.prompt - b.cached) * b.input_price + b.cached * b.cached_price + b.expected_tokens * b.output_price
            ) / 1e6 as cost,
            -- What the dearest candidate costs for the tenant's average prompt. Each request's own maximum in its place
            -- would hide that a long prompt is dearer than a short one, and where there is most to save.
            max(
                b.mean_prompt * b.ratio * b.input_price + coalesce(b.mean_tokens, b.expected_tokens) * b.output_price
            ) over () / 1e6 as unit
        from sized as b
    )
    select
        c.model_id, c.quality, c.labels, c.confidence, c.expected_tokens, c.cost,
        c.quality - c.alpha * coalesce(c.cost / nullif(c.unit, 0), 0) - c.penalty,
        c.support, c.prior, c.n0, c.known, c.prompt, c.cached, c.input_price, c.cached_price, c.output_price,
        c.unit, c.alpha, c.penalty, c.base_support
    from costed as c;
end;

comment on function router.estimates is
'Quality (0 to 1), cost (USD) and score expected of each candidate of a policy for one prompt, and what that is made of.
w = exp((similarity - 1) / tau); quality = (sum w q + n0 prior) / (sum w + n0), the prior being the task''s mean shrunk
by n1 to the tenant''s; score = quality - alpha cost / unit - penalty, the unit being what the dearest candidate costs
for the tenant''s average prompt. A model without any label has NULL quality, one without a price NULL cost.
p_models narrows the candidates, p_default is always one; p_embedding NULL leaves the priors alone. p_prompt_tokens is
an estimate, scaled by what each model''s provider reported so far; p_cached_tokens are as p_current''s reported them.
support: sum w. p_base: what _lean says; a neighbour there weighs base_weight / (base_weight + own memories) as much,
and base_support is their part of support. known: labels in the memory. Prices: USD per million tokens, the tenant''s
own where it has any.';
