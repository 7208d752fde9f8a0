create function router_internal._update_speeds(
    p_tenant int, p_entries router.decision_entry[], p_new uuid[]
) returns void
language plpgsql volatile
as $$
begin
    with batch as materialized (
        select
            e.model_id, avg(e.first_token_ms) as first_token_ms, count(e.first_token_ms) as samples,
            avg(e.completion_tokens) as completion_tokens, count(e.completion_tokens) as completions,
            -- Clamped, because tokens of images and tools are rough estimates: no single request may weigh too much.
            avg(least(greatest(r.ratio, 0.2), 5)) filter (where r.ratio is not null) as ratio, count(r.ratio) as ratios,
            max(uuid_extract_timestamp(e.decision_id)) as updated_at
        from unnest(p_entries) as e
        cross join lateral (
            select case when not coalesce(e.usage_estimated, false) and e.usage_unexplained is null then
                nullif(e.prompt_tokens, 0)::double precision / nullif(e.estimated_tokens, 0)
            end as ratio
        ) as r
        where
            e.decision_id = any(p_new) and e.status < 400
            and (e.first_token_ms is not null or e.completion_tokens is not null or e.prompt_tokens is not null)
        group by e.model_id
    )
    insert into router.speeds as s (
        tenant_id, model_id, first_token_ms, samples, completion_tokens, completions, token_ratio, updated_at
    )
    select
        p_tenant, b.model_id, b.first_token_ms, b.samples, b.completion_tokens, b.completions,
        1 + (b.ratio - 1) * b.ratios / (b.ratios + 3), b.updated_at
    from batch as b
    order by b.model_id
    -- A mean of all requests at first; from some number on a moving average.
    on conflict on constraint speeds_pkey do update set (
        first_token_ms, samples, completion_tokens, completions, token_ratio, updated_at
    ) = (
        select
            coalesce(
                s.first_token_ms + 0.2 * (b.first_token_ms - s.first_token_ms), b.first_token_ms, s.first_token_ms
            ),
            s.samples + b.samples,
            coalesce(
                s.completion_tokens + (b.completion_tokens - s.completion_tokens) * greatest(
                    b.completions::double precision / nullif(s.completions + b.completions, 0),
                    1 - 0.99 ^ b.completions
                ),
                b.completion_tokens, s.completion_tokens
            ),
            s.completions + b.completions,
            coalesce(
                coalesce(s.token_ratio, 1) + (b.ratio - coalesce(s.token_ratio, 1)) * greatest(
                    b.ratios::double precision / (s.completions + b.ratios + 3), 1 - 0.95 ^ b.ratios
                ),
                s.token_ratio
            ),
            b.updated_at
        from batch as b
        where b.model_id = excluded.model_id
    );
end;
$$;

comment on function router_internal._update_speeds is
'Update router.speeds from a tenant''s new entries: time to first token, answer length and token ratio of each model.
The tenant must have been entered. token_ratio: reported over estimated prompt tokens, each request clamped to 0.2 to
5, with three requests at 1 before the first; a request whose usage is estimated or unexplained does not count for it.';
