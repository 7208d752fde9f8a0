create function router.samples(p_tenant int, p_policy int, p_limit int default 500)
returns table (suits text, memory_id bigint, prompt text)
language plpgsql stable
as $$
begin
    perform router_internal._enter(p_tenant);
    return query
    with priced as materialized (
        -- The policy's candidates, the cheapest by the price of an answer's tokens.
        select o.model_id, o.output_price
        from router.policy_models as c
        inner join router_internal._prices(p_tenant) as o on o.model_id = c.model_id
        where c.tenant_id = p_tenant and c.policy_id = p_policy and o.output_price is not null
    ),
    ends as (
        select
            (select p.model_id from priced as p order by p.output_price, p.model_id limit 1) as cheapest,
            (select p.default_model from router.policies as p where p.tenant_id = p_tenant and p.policy_id = p_policy)
                as standard
    ),
    recent as (
        select m.memory_id, x.prompt, m.quality[e.cheapest] as cheap, m.quality[e.standard] as good
        from ends as e
        cross join lateral (
            select y.memory_id, y.prompt
            from router.memory_texts as y
            where y.tenant_id = p_tenant and y.prompt is not null
            order by y.memory_id desc
            limit p_limit
        ) as x
        inner join router.memories as m on m.tenant_id = p_tenant and m.memory_id = x.memory_id
    ),
    suited as (
        select
            case
                when r.cheap >= r.good - 0.05 and r.cheap >= 0.5 then 'cheapest'
                when r.good >= r.cheap + 0.3 then 'default'
            end as suits,
            r.memory_id,
            r.prompt
        from recent as r
    )
    select distinct on (s.suits) s.suits, s.memory_id, s.prompt
    from suited as s
    where s.suits is not null
    order by s.suits, s.memory_id desc;
end;
$$;

comment on function router.samples is
'Return up to two taught prompts to try a policy on: one that the cheapest candidate suffices for, one that it does not.
suits: cheapest (its label is at least 0.5 and within 0.05 of the default model''s) or default (the default model''s label
is 0.3 or more above). p_limit: how many of the newest prompts are looked at.';
