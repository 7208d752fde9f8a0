create function router.fit(
    p_tenant int,
    p_policy int,
    p_space smallint,
    p_sample int default 1000,
    p_seconds double precision default 30,
    p_now timestamptz default now()
) returns setof router.fits
language plpgsql volatile
as $$
declare
    v_until timestamptz := clock_timestamp() + make_interval(secs => p_seconds);
    v_policy router.policies;
    v_memories int;
    v_base int;
    v_models smallint[];
    v_ledger_tokens double precision[];
    v_rule router_internal.rule;
    v_trials router_internal.trial[];
    v_fit router_internal.fit;
begin
    perform router_internal._enter(p_tenant);
    if (p_sample between 30 and 16000) is not true then
        raise exception 'the sample must be from 30 to 16000 rows, not %', p_sample
            using errcode = '22023', column = 'sample';
    end if;
    select * into v_policy from router.policies as p where p.tenant_id = p_tenant and p.policy_id = p_policy;
    if not found then
        raise exception 'tenant % has no policy %', p_tenant, p_policy using errcode = 'RT002';
    end if;
    select c.memories into v_memories
    from router.memory_counts as c where c.tenant_id = p_tenant and c.space_id = p_space;
    select array_agg(c.model_id order by c.model_id), array_agg(c.ledger_tokens order by c.model_id)
    into v_models, v_ledger_tokens
    from router_internal._candidates(p_tenant, p_policy) as c;
    if v_policy.backend <> 'knn' or v_models is null or v_memories is null or v_memories < 200 then
        delete from router.fits as f where f.tenant_id = p_tenant and f.policy_id = p_policy and f.space_id = p_space;
        return;
    end if;
    select t.base_id into v_base from router.tenants as t where t.tenant_id = p_tenant and v_policy.base_weight > 0;
    v_rule := router_internal._rule(p_tenant, p_policy, p_space, v_models, null);
    v_trials := array(
        select t
        from router_internal._trials(
            p_tenant, p_space, v_models, v_ledger_tokens, array[v_policy.k], array[v_policy.tau], v_rule,
            v_base, v_policy.base_weight, greatest(v_policy.seed_count, 1), p_sample, 0.7 * p_seconds, 0, 0, false
        ) as t
    );
    v_fit := router_internal._fit(v_trials, v_rule, cardinality(v_models), v_until);
    perform router_internal._write_fit(
        p_tenant, p_policy, p_space, v_models, v_policy.k, v_policy.tau, v_trials, v_fit, v_memories, p_now
    );
    return query
    select f.* from router.fits as f
    where f.tenant_id = p_tenant and f.policy_id = p_policy and f.space_id = p_space;
end;
$$;

comment on function router.fit is
'Choose by leave-one-out what the estimates of a policy leave open, and write it to fits: n0, guess and the matrix.
p_sample memories (the same ones every time) are estimated without themselves, for at most p_seconds. No row: the policy
does not learn or there are fewer than 200 memories, and its fit is deleted. chores lists the policies whose fit is due.
Raises RT002 for an unknown policy, 22023 for a sample out of range.';
