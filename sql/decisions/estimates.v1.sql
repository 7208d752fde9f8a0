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
        p_tenant, p_space, b, c, p_embedding, p_prompt_tokens, p_alpha, p_current, p_cached_tokens,
        p_task is null and b.guesses and p_embedding is not null
    )) as e;
end;

comment on function router.estimates is
'Return the quality, cost and score expected of each candidate of a policy for one prompt, and their parts.
w = exp((similarity - 1) / tau); quality is made as explain says, from sums of w * label and the prior, the task''s mean
shrunk by n1 to the model''s mean, which is shrunk by n2 to that of all candidates; score = quality - alpha cost / unit - penalty, where unit is the cost of the dearest
candidate for the tenant''s average prompt. Quality is 0 to 1, or NULL for a model without labels; cost is USD, or NULL
for a model without a price. The rows are in no order. p_models narrows the candidates; p_default is always one.
p_embedding NULL: the priors alone. p_prompt_tokens is an estimate, scaled by the token counts that each model''s
provider reported so far. p_current: the conversation''s model; p_cached_tokens: tokens its provider may have cached,
as it counts them. p_base: the result of _base_sums; a neighbour of the shared memory weighs base_weight / (base_weight
+ own memories) as much, and base_support is their part of support. support: sum w. known: labels in the memory.
Prices: USD per million tokens, the tenant''s own where it has any.';
