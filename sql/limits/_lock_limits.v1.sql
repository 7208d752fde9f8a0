create function router_internal._lock_limits(p_tenant int) returns void
language plpgsql volatile
as $$
begin
    perform from router.tenant_locks as l where l.tenant_id = p_tenant and l.purpose = 'limits' for no key update;
end;
$$;

comment on function router_internal._lock_limits is
'Wait for the lock on a tenant''s limits and hold it until the transaction ends: with it no meter appears meanwhile.
It is a row of tenant_locks, which roles that only read cannot lock. It comes after the tenant''s own row and before
its meters, so that there are no deadlocks. The tenant must have been entered.';
