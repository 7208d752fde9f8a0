create function router_internal._log_policy_change(
    p_tenant int, p_policy int, p_cause text, p_before jsonb, p_by text, p_key int, p_undoes bigint, p_now timestamptz
) returns bigint
language plpgsql volatile
as $$
declare
    -- Entries of a policy that are kept.
    c_kept constant int := 1000;
    v_after jsonb := router_internal._policy_state(p_tenant, p_policy);
    v_change bigint;
begin
    if p_before is not distinct from v_after then
        return null;
    end if;
    insert into router.policy_changes (
        tenant_id, policy_id, changed_at, changed_by, key_id, cause, undoes, old_settings, new_settings
    ) values (
        p_tenant, p_policy, p_now, case when p_key is null then p_by else 'key' end, p_key, p_cause, p_undoes, p_before,
        v_after
    )
    returning change_id into v_change;
    delete from router.policy_changes as c
    where c.tenant_id = p_tenant and c.policy_id = p_policy and c.change_id <= (
        select o.change_id
        from router.policy_changes as o
        where o.tenant_id = p_tenant and o.policy_id = p_policy
        order by o.change_id desc
        offset c_kept limit 1
    );
    return v_change;
end;
$$;

comment on function router_internal._log_policy_change is
'Add an entry to policy_changes if the policy is not as in p_before; return its number, or NULL if nothing changed.
p_by: admin, cli or psql; p_key: the tenant''s key instead. The newest 1,000 entries of a policy are kept.';
