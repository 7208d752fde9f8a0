create function router.fit_due(p_tenant int, p_seconds double precision default 30) returns int
language plpgsql volatile
as $$
declare
    v_due record;
    v_fitted int := 0;
begin
    perform router_internal._enter(p_tenant);
    for v_due in
        select d.policy_id, d.space_id from router_internal._fits_due(p_tenant) as d order by d.policy_id, d.space_id
    loop
        perform from router.fit(p_tenant, v_due.policy_id, v_due.space_id, p_seconds => p_seconds);
        v_fitted := v_fitted + 1;
    end loop;
    return v_fitted;
end;
$$;

comment on function router.fit_due is
'Fit the policies of a tenant whose fit is missing or stale, each for at most p_seconds; return how many there were.
Two sessions at the same time do the same work twice and write the same fits.';
