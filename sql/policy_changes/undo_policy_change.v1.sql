create function router.undo_policy_change(
    p_tenant int,
    p_change bigint,
    p_force boolean default false,
    p_by text default 'psql',
    p_key int default null,
    p_policy int default null,
    p_now timestamptz default now()
) returns bigint
language plpgsql volatile
as $$
declare
    v_change record;
    v_state jsonb;
    v_wanted jsonb;
    v_fields text[];
    v_settings router.policy_settings;
    v_undone bigint;
begin
    perform router_internal._enter(p_tenant);
    select c.policy_id, c.old_settings, c.new_settings into v_change
    from router.policy_changes as c
    where c.tenant_id = p_tenant and c.change_id = p_change and (p_policy is null or c.policy_id = p_policy);
    if not found then
        raise exception 'tenant % has no change % of a policy', p_tenant, p_change
            using errcode = 'RT015', column = 'change';
    elsif v_change.old_settings is null then
        raise exception 'change % added the policy: delete the policy instead', p_change
            using errcode = 'RT016', column = 'change';
    end if;
    perform from router.policies as p
    where p.tenant_id = p_tenant and p.policy_id = v_change.policy_id
    for no key update;
    v_fields := router_internal._changed_settings(v_change.old_settings, v_change.new_settings);
    if p_key is not null and not v_fields <@ array['alpha', 'k', 'tau', 'n0', 'n0_task'] then
        raise exception 'change % concerns %: only an operator may undo it', p_change, array_to_string(v_fields, ', ')
            using errcode = 'RT017', column = 'change',
                hint = 'A tenant''s key may undo changes of alpha, k, tau, n0 and n0_task, which calibrate chooses.';
    end if;
    v_state := router_internal._policy_state(p_tenant, v_change.policy_id);
    if not p_force and v_state <> v_change.new_settings then
        raise exception 'the policy has changed since change %, in %: undo the later changes first, or force it',
            p_change, array_to_string(router_internal._changed_settings(v_change.new_settings, v_state), ', ')
            using errcode = 'RT016', column = 'change';
    end if;
    -- Settings that this change left alone keep their present value.
    select v_state || jsonb_object_agg(o.key, o.value) into v_wanted
    from jsonb_each(v_change.old_settings) as o
    where o.key = any(v_fields || case when v_fields && '{models,weights}' then '{models,weights}'::text[] end);
    v_settings := jsonb_populate_record(null::router.policy_settings, v_wanted);
    if v_fields <@ array['alpha', 'k', 'tau', 'n0', 'n0_task'] then
        -- The proxy's role may change these columns and no others.
        update router.policies as p set
            alpha = v_settings.alpha, k = v_settings.k, tau = v_settings.tau, n0 = v_settings.n0,
            n0_task = v_settings.n0_task
        where p.tenant_id = p_tenant and p.policy_id = v_change.policy_id;
    else
        perform router_internal._put_policy(
            p_tenant, p.name, (v_wanted ->> 'backend')::router.backend, v_wanted ->> 'default_model',
            array(select m from jsonb_array_elements_text(v_wanted -> 'models') as m),
            array(select w::real from jsonb_array_elements_text(v_wanted -> 'weights') as w), v_settings
        )
        from router.policies as p
        where p.tenant_id = p_tenant and p.policy_id = v_change.policy_id;
    end if;
    v_undone := router_internal._log_policy_change(
        p_tenant, v_change.policy_id, 'undo', v_state, p_by, p_key, p_change, p_now
    );
    if v_undone is null then
        raise exception 'the policy is as it was before change % already', p_change
            using errcode = 'RT016', column = 'change';
    end if;
    return v_undone;
end;
$$;

comment on function router.undo_policy_change is
'Give the settings that a change of a policy changed their values from before; return the number of the new change.
p_by: admin, cli or psql; p_key: a tenant''s key, which may undo changes of alpha, k, tau, n0 and n0_task alone;
p_policy: the policy, if the caller names it. Raises RT015 for an unknown change; RT016 if the policy has changed since
(p_force: restore the settings of this change and keep the others), if the change added the policy, or if there is
nothing to undo; RT017 if p_key may not undo it; RT003 and RT004 as put_policy does.';
