create function router._estimates(
    p_tenant int, p_space smallint, p_basis router.basis, p_embedding halfvec, p_task text, p_prompt_tokens int,
    p_alpha double precision, p_current smallint, p_cached_tokens int, p_base router.base_sums[]
) returns router.estimate[]
language plpgsql stable
as $$
declare
    v_alpha double precision := coalesce(p_alpha, p_basis.alpha);
    v_mean_prompt double precision :=
        coalesce(p_basis.prompt_tokens::double precision / nullif(p_basis.memories, 0), p_prompt_tokens);
    v_share double precision := p_basis.base_weight / nullif(p_basis.base_weight + p_basis.memories, 0);
    v_near router.base_sums[];
    v_base router.base_sums[];
    v_tasks router.priors[];
    c router.candidate;
    n router.base_sums;
    b router.base_sums;
    t router.priors;
    e router.estimate;
    v_support double precision;
    v_token_support double precision;
    v_n0 double precision;
    v_quality double precision;
    v_tokens double precision;
    v_prompt double precision;
    v_known double precision := 0;
    v_knowing int := 0;
    v_unit double precision;
    v_means double precision[];
    v_estimates router.estimate[];
begin
    if p_embedding is not null then
        v_near := router._sums(
            p_tenant, p_space, p_basis.tier, p_embedding, p_basis.k, p_basis.tau, p_basis.models
        );
    end if;
    if p_base is not null then
        select array_agg(f order by m.position) into v_base
        from unnest(p_basis.models) with ordinality as m (model_id, position)
        left join unnest(p_base) as f on f.model_id = m.model_id;
    end if;
    if p_task is not null then
        select array_agg(f order by m.position) into v_tasks
        from unnest(p_basis.models) with ordinality as m (model_id, position)
        left join router.priors as f
            on f.tenant_id = p_tenant and f.space_id = p_space and f.model_id = m.model_id
            -- By a query of its own: joined, the priors of all of the tenant's tasks may be read.
            and f.task_id = (select g.task_id from router.tasks as g where g.tenant_id = p_tenant and g.name = p_task);
    end if;
    for i in 1 .. cardinality(p_basis.models) loop
        c := p_basis.candidates[i];
        n := v_near[i];
        b := v_base[i];
        t := v_tasks[i];
        -- The tenant's means: few known answer lengths lean on those that the provider reported for its requests.
        v_quality := router._prior(c.quality_sum, c.labels, p_basis.n1, b.mean_quality);
        v_tokens := router._prior(
            c.completion_sum, c.completions, p_basis.n1, coalesce(c.ledger_tokens, b.mean_tokens)
        );
        v_means[i] := v_tokens;
        v_quality := router._prior(t.quality_sum, t.labels, p_basis.n1, v_quality);
        v_n0 := case when t.labels > 0 then p_basis.n0_task else p_basis.n0 end;
        v_support := router._plus(n.support, v_share * b.support);
        v_token_support := router._plus(n.token_support, v_share * b.token_support);
        v_tokens := router._blend(
            router._plus(n.token_sum, v_share * b.token_sum), v_token_support, v_n0,
            router._prior(t.completion_sum, t.completions, p_basis.n1, v_tokens)
        );
        v_known := v_known + coalesce(v_tokens, 0);
        v_knowing := v_knowing + (v_tokens is not null)::int;
        v_prompt := p_prompt_tokens * c.token_ratio;
        e := (
            c.model_id,
            router._blend(router._plus(n.quality_sum, v_share * b.quality_sum), v_support, v_n0, v_quality),
            coalesce(n.labels, 0) + coalesce(b.labels, 0),
            coalesce(v_support / nullif(v_support + v_n0, 0), 0),
            v_tokens, null, null, coalesce(v_support, 0), v_quality, v_n0, c.labels, v_prompt,
            case when c.model_id = p_current then least(p_cached_tokens, v_prompt) else 0 end,
            c.input_price, c.cached_input_price, c.output_price, null, v_alpha,
            case when c.model_id <> p_current then p_basis.switch_penalty else 0 end,
            coalesce(v_share * b.support, 0)
        )::router.estimate;
        v_estimates[i] := e;
    end loop;
    for i in 1 .. cardinality(p_basis.models) loop
        c := p_basis.candidates[i];
        e := v_estimates[i];
        e.completion_tokens := coalesce(e.completion_tokens, v_known / nullif(v_knowing, 0), 256);
        e.cost_usd := (
            (e.prompt_tokens - e.cached_tokens) * e.input_price + e.cached_tokens * e.cached_input_price
            + e.completion_tokens * e.output_price
        ) / 1e6;
        -- What the dearest candidate costs for the tenant's average prompt. Each request's own maximum in its place
        -- would hide that a long prompt is dearer than a short one, and where there is most to save.
        v_unit := greatest(
            v_unit,
            (v_mean_prompt * c.token_ratio * e.input_price + coalesce(v_means[i], e.completion_tokens) * e.output_price)
            / 1e6
        );
        v_estimates[i] := e;
    end loop;
    for i in 1 .. cardinality(p_basis.models) loop
        e := v_estimates[i];
        e.unit_usd := v_unit;
        e.score := e.quality - v_alpha * coalesce(e.cost_usd / nullif(v_unit, 0), 0) - e.penalty;
        v_estimates[i] := e;
    end loop;
    return v_estimates;
end;
$$;

comment on function router._estimates is
'The estimates of a decision whose basis is known, for a tenant that has been entered: what estimates returns, in an array.';
