create function router_internal._write_calibration(
    p_calibration router.calibrations, p_by text, p_key int
) returns void
language plpgsql volatile
as $$
declare
    v_before jsonb;
begin
    perform from router.policies as p
    where p.tenant_id = p_calibration.tenant_id and p.policy_id = p_calibration.policy_id
    for no key update;
    v_before := router_internal._policy_state(p_calibration.tenant_id, p_calibration.policy_id);
    update router.policies as p set
        alpha = (p_calibration.new_settings).alpha, k = (p_calibration.new_settings).k,
        tau = (p_calibration.new_settings).tau, n0 = (p_calibration.new_settings).n0,
        n0_task = (p_calibration.new_settings).n0_task
    where p.tenant_id = p_calibration.tenant_id and p.policy_id = p_calibration.policy_id;
    perform router_internal._log_policy_change(
        p_calibration.tenant_id, p_calibration.policy_id, 'calibrate', v_before, p_by, p_key, null,
        p_calibration.calibrated_at
    );
    -- A calibration of this same transaction, which no other transaction has seen.
    delete from router.calibrations as o
    where
        o.tenant_id = p_calibration.tenant_id and o.policy_id = p_calibration.policy_id
        and o.calibrated_at = p_calibration.calibrated_at;
    insert into router.calibrations select c.* from (select (p_calibration).*) as c;
end;
$$;

comment on function router_internal._write_calibration is
'Set a policy to the new settings of a calibration, and add it to calibrations and to policy_changes.';
