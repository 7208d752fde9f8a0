create function router_internal._lock_memory(p_tenant int) returns void
language plpgsql volatile
as $$
begin
    -- The rows alone are no mutex: one that is made while others wait for the rest is not among those they get.
    perform pg_advisory_xact_lock(hashtextextended('router.memory', p_tenant));
    perform from router.memory_counts as c where c.tenant_id = p_tenant order by c.space_id for update;
end;
$$;

comment on function router_internal._lock_memory is
'Waits for its turn to change the memory of a tenant, and keeps it until the transaction ends. The counts are locked
as well, for an owner who changes memories by hand.';
