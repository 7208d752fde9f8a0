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
) returns setof router.estimate
language sql stable
begin atomic
    select e.*
    from router_internal._context(p_tenant, p_policy, p_space, p_default, p_models) as b
    cross join lateral router_internal._with_task_and_base(p_tenant, p_space, b, p_task, p_base) as c
    cross join lateral unnest(router_internal._estimates(
        p_tenant, p_space, b, c, p_embedding, p_prompt_tokens, p_alpha, p_current, p_cached_tokens
    )) as e;
end;

comment on function router.estimates is
'Quality (0 to 1), cost (USD) and score expected of each candidate of a policy for one prompt, and what that is made of.
w = exp((similarity - 1) / tau); quality = (sum w q + n0 prior) / (sum w + n0), the prior being the task''s mean shrunk
by n1 to the tenant''s; score = quality - alpha cost / unit - penalty, the unit being what the dearest candidate costs
for the tenant''s average prompt. A model without any label has NULL quality, one without a price NULL cost.
p_models narrows the candidates, p_default is always one; p_embedding NULL leaves the priors alone. p_prompt_tokens is
an estimate, scaled by what each model''s provider reported so far; p_cached_tokens are as p_current''s reported them.
support: sum w. p_base: what _base_sums says; a neighbour there weighs base_weight / (base_weight + own memories) as much,
and base_support is their part of support. known: labels in the memory. Prices: USD per million tokens, the tenant''s
own where it has any.';
