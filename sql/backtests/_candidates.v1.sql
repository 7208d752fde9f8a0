create function router_internal._candidates(p_tenant int, p_policy int) returns table (
    model_id smallint, name text, input_price double precision, output_price double precision,
    token_ratio double precision, ledger_tokens double precision
)
language sql stable
begin atomic
    select
        m.model_id, m.name, o.input_price, o.output_price, coalesce(f.token_ratio, 1), f.completion_tokens
    from router.models as m
    inner join router_internal._prices(p_tenant) as o on o.model_id = m.model_id
    left join router.speeds as f on f.tenant_id = p_tenant and f.model_id = m.model_id
    where m.enabled and m.model_id in (
        select c.model_id from router.policy_models as c
        where c.tenant_id = p_tenant and c.policy_id = p_policy
        union all
        select p.default_model from router.policies as p
        where p.tenant_id = p_tenant and p.policy_id = p_policy
    )
    order by m.model_id;
end;

comment on function router_internal._candidates is
'Return a policy''s enabled candidates and its default model, by number, with prices and the ledger''s token counts.
Prices are the tenant''s, in USD per million tokens. token_ratio: reported over estimated prompt tokens (1: unknown);
ledger_tokens: mean tokens of an answer.';
