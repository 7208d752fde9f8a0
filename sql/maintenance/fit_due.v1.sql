create function router.fit_due(p_tenant int, p_seconds double precision default 30) returns int
language plpgsql volatile
as $$
declare
    v_due record;
    v_fitted int := 0;
begin
    perform router_internal._enter(p_tenant);
    -- Released at the end of the transaction.
    if not pg_try_advisory_xact_lock(hashtextextended('router.fit_due', p_tenant)) then
        raise exception 'another session fits the policies of tenant %', p_tenant using errcode = 'RT006',
            hint = 'Try again when that is done.';
    end if;
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
Raises RT006 while another session fits them.';
