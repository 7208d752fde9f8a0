create function router_internal._set_calibrated(
    p_tenant int, p_policy int, p_settings router.policy_settings, p_now timestamptz, p_by text, p_key int
) returns void
language plpgsql volatile
as $$
declare
    v_before jsonb;
begin
    perform from router.policies as p
    where p.tenant_id = p_tenant and p.policy_id = p_policy
    for no key update;
    v_before := router_internal._policy_state(p_tenant, p_policy);
    update router.policies as p set
        alpha = (p_settings).alpha, k = (p_settings).k, tau = (p_settings).tau, n0 = (p_settings).n0,
        n0_task = (p_settings).n0_task
    where p.tenant_id = p_tenant and p.policy_id = p_policy;
    perform router_internal._log_policy_change(p_tenant, p_policy, 'calibrate', v_before, p_by, p_key, null, p_now);
    -- A calibration of this same transaction, which no other transaction has seen.
    delete from router.calibrations as o
    where o.tenant_id = p_tenant and o.policy_id = p_policy and o.calibrated_at = p_now;
end;
$$;

comment on function router_internal._set_calibrated is
'Set a policy to the settings that calibrate chose (alpha, k, tau, n0, n0_task), and log the change of the policy.
A calibration at the same time p_now is deleted. p_by, p_key: who calibrates, as in calibrate.';
