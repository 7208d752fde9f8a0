create function router.list_fits(p_tenant int, p_space smallint) returns table (
    policy text, n0 double precision, guess boolean, matrix boolean, why text, fitted_at timestamptz, memories int,
    rows int, pairs int
)
language plpgsql stable
as $$
begin
    perform router_internal._enter(p_tenant);
    return query
    select
        p.name, c.n0, c.guesses, w.why is null, w.why, f.fitted_at, f.memories, f.rows, f.pairs
    from router.policies as p
    inner join router.tenants as t on t.tenant_id = p.tenant_id
    cross join lateral router_internal._context(
        p_tenant, p.policy_id, coalesce(t.space_id, p_space), p.default_model, null
    ) as c
    left join router.fits as f
        on f.tenant_id = p_tenant and f.policy_id = p.policy_id and f.space_id = coalesce(t.space_id, p_space)
    cross join lateral (
        select string_agg(m.name, ', ' order by m.name) as models
        from unnest(c.candidates) as a
        inner join router.models as m on m.model_id = a.model_id
        where a.model_id <> all(c.fitted)
    ) as n
    -- The conditions are those of _context and _estimated, in an order that names the first cause.
    cross join lateral (
        select case
            when p.transfer = 0 then 'transfer is 0'
            when f.policy_id is null and c.memories < 200 then format('%s memories of 200', c.memories)
            when f.policy_id is null then 'maintenance has not fitted it yet'
            when f.k <> p.k or f.tau <> p.tau then format('fitted for k %s and tau %s', f.k, f.tau)
            when c.fitted is null then format('fitted to %s memories, now there are %s', f.memories, c.memories)
            when f.transfer is null and f.pairs < 50
                then format('%s memories of 50 label two candidates or more', f.pairs)
            when f.transfer is null then 'the last fit made none'
            when n.models is not null then format('fitted without %s', n.models)
        end as why
    ) as w
    where p.tenant_id = p_tenant and p.backend = 'knn'
    order by p.name;
end;
$$;

comment on function router.list_fits is
'Return what decisions of each learning policy use now of its fit: weight of the prior, task guesses and the matrix.
n0: for requests whose task is neither named nor guessed; guess: whether a missing task tag is guessed; why: why no
matrix is used, NULL: it is. The rest describes the row of fits, NULL: there is none; without one, or if it is of
another k, tau or size of the memory, n0 is the policy''s. p_space: the space of a tenant without one of its own.';
