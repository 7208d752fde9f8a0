create function router.delete_tenant(p_tenant int) returns boolean
language plpgsql volatile
as $$
begin
    perform router_internal._enter(p_tenant);
    perform router_internal._lock_memory(p_tenant);
    -- As the ledger takes them: the tenant, its meters, its reservations.
    perform from router.tenants where tenant_id = p_tenant for update;
    delete from router.limits where tenant_id = p_tenant;
    delete from router.reservations where tenant_id = p_tenant;
    delete from router.decisions where tenant_id = p_tenant;
    -- Below the table that has the triggers: counts, priors and texts go with the tenant, and need no sums before.
    delete from router.memories_small where tenant_id = p_tenant;
    delete from router.memories_large where tenant_id = p_tenant;
    delete from router.tenants where tenant_id = p_tenant;
    return found;
end;
$$;

comment on function router.delete_tenant is
'Deletes a tenant with everything it has: keys, limits, policies, memories, ledger. False when there is no such tenant.
Partitions of a graduated one are left empty, for sweep to drop.';
