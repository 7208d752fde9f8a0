create function router_internal._sort_keys(
    p_tenant int, p_policy int, p_rule router.reason, p_estimates router.estimate[], p_current smallint,
    p_random double precision
) returns double precision[]
language plpgsql stable
as $$
declare
    v_models smallint[];
    v_draws double precision[];
begin
    -- Not part of _context: every decision would have to open two more tables.
    if p_rule = 'fastest' then
        select array_agg(f.model_id), array_agg(-f.first_token_ms) into v_models, v_draws
        from router.speeds as f
        where f.tenant_id = p_tenant;
    elsif p_rule = 'weighted' then
        -- Efraimidis and Spirakis: the largest u^(1/w) is a draw by weight; its logarithm, for small weights.
        select
            array_agg(w.model_id),
            array_agg(ln(
                ((hashint8extended(w.model_id, (p_random * 1e15)::bigint) & 1073741823) + 0.5)::float8 / 1073741824
            ) / w.weight::float8)
        into v_models, v_draws
        from router.policy_models as w
        where w.tenant_id = p_tenant and w.policy_id = p_policy and w.weight > 0;
    end if;
    return array(
        select case
            when p_rule = 'cheapest' then -e.cost_usd
            when p_rule = 'sticky' then (e.model_id = p_current)::int
            else v_draws[array_position(v_models, e.model_id)]
        end
        from unnest(p_estimates) with ordinality as e
        order by e.ordinality
    );
end;
$$;

comment on function router_internal._sort_keys is
'Return the numbers by which a rule other than learned ranks the candidates, highest first, in the order of p_estimates.
cheapest: the negative cost; fastest: the negative time to first token; weighted: a random draw by weight; sticky: 1
for the conversation''s model (p_current). NULL: the rule cannot rank that candidate; other rules rank none.';
