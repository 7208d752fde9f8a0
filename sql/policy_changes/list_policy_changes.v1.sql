create function router.list_policy_changes(
    p_tenant int, p_policy int default null, p_limit int default 100
) returns table (
    change_id bigint, policy text, changed_at timestamptz, changed_by text, key_id int, cause text, undoes bigint,
    target double precision, confidence double precision, old_settings jsonb, new_settings jsonb, undoable boolean,
    operator_only boolean, at_most double precision
)
language plpgsql stable
as $$
begin
    perform router_internal._enter(p_tenant);
    return query
    select
        c.change_id, p.name, c.changed_at, c.changed_by, c.key_id, c.cause, c.undoes, k.target, k.confidence,
        case when c.old_settings is not null then (
            select jsonb_object_agg(o.key, o.value) from jsonb_each(c.old_settings) as o where o.key = any(f.names)
        ) end,
        (select jsonb_object_agg(n.key, n.value) from jsonb_each(c.new_settings) as n where n.key = any(f.names)),
        c.old_settings is not null and c.new_settings = s.state,
        not f.names <@ array['alpha', 'k', 'tau', 'n0', 'n0_task'], k.at_most
    from router.policy_changes as c
    inner join router.policies as p on p.tenant_id = c.tenant_id and p.policy_id = c.policy_id
    left join router.calibrations as k
        on c.cause = 'calibrate' and k.tenant_id = c.tenant_id and k.policy_id = c.policy_id
        and k.calibrated_at = c.changed_at
    cross join lateral (select router_internal._policy_state(p.tenant_id, p.policy_id) as state) as s
    cross join lateral (
        select router_internal._changed_settings(c.old_settings, c.new_settings) as names
    ) as f
    where c.tenant_id = p_tenant and (p_policy is null or c.policy_id = p_policy)
    order by c.change_id desc
    limit p_limit;
end;
$$;

comment on function router.list_policy_changes is
'List the changes of a tenant''s policies, the newest first, with the settings that differ before and after.
old_settings NULL: the policy was added. target or at_most, confidence: of a calibration. undoable: the policy is still as this
change left it, so undo_policy_change needs no force. operator_only: more was changed than what calibrate chooses, so a
tenant''s key may not undo it.';
