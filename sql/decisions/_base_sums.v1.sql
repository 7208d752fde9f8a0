create function router_internal._base_sums(
    p_tenant int, p_base int, p_space smallint, p_embedding halfvec, p_k int, p_tau double precision, p_least int,
    p_without bytea default null
) returns router.base_sums[]
language plpgsql stable
as $$
declare
    v_sums router.base_sums[];
    v_gone bigint[] := '{}';
begin
    perform router_internal._enter(p_base);
    if
        exists (select from router.tenants as t where t.tenant_id = p_base and t.shared)
        and exists (
            select from router.memory_counts as c
            where c.tenant_id = p_base and c.space_id = p_space and c.memories >= p_least
        )
    then
        if p_without is not null then
            v_gone := array(
                select x.memory_id from router.memory_texts as x
                where x.tenant_id = p_base and x.space_id = p_space and x.prompt_hash = p_without
            );
        end if;
        with near as materialized (
            select n.quality, n.completion_tokens, exp(greatest((n.similarity - 1) / p_tau, -300)) as weight
            from router.neighbours(p_base, p_space, p_embedding, p_k + cardinality(v_gone)) as n
            where p_embedding is not null and n.memory_id <> all(v_gone)
            order by n.similarity desc
            limit p_k
        )
        select
            array_agg((
                a.model_id, v.labels, v.support, v.quality_sum, v.token_support, v.token_sum,
                a.quality_sum / nullif(a.labels, 0), a.completion_sum / nullif(a.completions, 0)
            )::router.base_sums)
        into v_sums
        from router.priors as a
        cross join lateral (
            select
                count(l.quality) as labels,
                sum(l.weight) filter (where l.quality is not null) as support,
                sum(l.weight * l.quality) as quality_sum,
                sum(l.weight) filter (where l.tokens is not null) as token_support,
                sum(l.weight * l.tokens) as token_sum
            from (
                select n.weight, n.quality[a.model_id] as quality, n.completion_tokens[a.model_id] as tokens
                from near as n
            ) as l
        ) as v
        where a.tenant_id = p_base and a.space_id = p_space and a.task_id = 0;
    end if;
    perform router_internal._enter(p_tenant);
    return v_sums;
end;
$$;

comment on function router_internal._base_sums is
'Sum up what the shared memory of tenant p_base holds about each model for an embedding: sums, never a row.
Enters p_base and then the tenant again. Returns NULL if p_base does not share its memory, or has fewer than p_least
memories in this space. p_without: SHA-256 of a prompt to leave out of the neighbours, for estimates made without it.';
