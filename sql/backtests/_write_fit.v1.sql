create function router_internal._write_fit(
    p_tenant int, p_policy int, p_space smallint, p_models smallint[], p_k int, p_tau double precision,
    p_trials router_internal.trial[], p_fit router_internal.fit, p_memories int, p_now timestamptz
) returns void
language sql volatile
begin atomic
    insert into router.fits as f (
        tenant_id, policy_id, space_id, fitted_at, memories, rows, pairs, models, k, tau, n0, guess, lambda, transfer,
        labels, settings
    )
    select
        p_tenant, p_policy, p_space, p_now, p_memories, count(*), count(*) filter (where r.known > 1), p_models,
        p_k, p_tau, (p_fit).n0, (p_fit).guess, (p_fit).lambda, (p_fit).transfer,
        array(
            select coalesce(a.labels, 0)
            from unnest(p_models) with ordinality as m (model_id, place)
            left join router.priors as a
                on a.tenant_id = p_tenant and a.space_id = p_space and a.task_id = 0 and a.model_id = m.model_id
            order by m.place
        ),
        (
            select router_internal._fit_settings(p) from router.policies as p
            where p.tenant_id = p_tenant and p.policy_id = p_policy
        )
    from (
        select count(t.quality) as known from unnest(p_trials) as t group by t.row_number
    ) as r
    on conflict on constraint fits_pkey do update set
        fitted_at = excluded.fitted_at, memories = excluded.memories, rows = excluded.rows, pairs = excluded.pairs,
        models = excluded.models, k = excluded.k, tau = excluded.tau, n0 = excluded.n0, guess = excluded.guess,
        lambda = excluded.lambda, transfer = excluded.transfer, labels = excluded.labels, settings = excluded.settings;
end;

comment on function router_internal._write_fit is
'Write the fit that was made from these trials, for a memory of p_memories, as the policy''s.';
