create function router.delete_tenant(p_tenant int) returns boolean
language plpgsql volatile
as $$
begin
    perform router_internal._enter(p_tenant);
    perform router_internal._lock_memory(p_tenant);
    -- In the order in which the ledger locks them: the tenant, its limits, its meters, its reservations.
    perform from router.tenants where tenant_id = p_tenant for update;
    perform router_internal._lock_limits(p_tenant);
    delete from router.limits where tenant_id = p_tenant;
    delete from router.reservations where tenant_id = p_tenant;
    delete from router.decisions where tenant_id = p_tenant;
    -- Statements on partitions do not fire the triggers of memories: counts, priors and texts are deleted with the
    -- tenant, and need not be updated first.
    delete from router.memories_small where tenant_id = p_tenant;
    delete from router.memories_large where tenant_id = p_tenant;
    delete from router.tenants where tenant_id = p_tenant;
    return found;
end;
$$;

comment on function router.delete_tenant is
'Delete a tenant with its keys, limits, policies, memories and ledger; false if there is no such tenant.
If it had graduated, its partitions stay empty until sweep drops them.';
