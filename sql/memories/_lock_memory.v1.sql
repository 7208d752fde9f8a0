create function router_internal._lock_memory(p_tenant int) returns void
language plpgsql volatile
as $$
begin
    -- The counts alone are no mutex: they do not cover a row that is inserted while a transaction waits for the others.
    perform from router.tenant_locks as l where l.tenant_id = p_tenant and l.purpose = 'memory' for no key update;
    perform from router.memory_counts as c where c.tenant_id = p_tenant order by c.space_id for update;
end;
$$;

comment on function router_internal._lock_memory is
'Wait for the lock on a tenant''s memory and hold it until the transaction ends.
It is a row of tenant_locks, which roles that only read cannot lock; the rows of memory_counts are locked as well, for
an owner who changes memories by hand. The tenant must have been entered.';
