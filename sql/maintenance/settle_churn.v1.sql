create function router.settle_churn(p_tenant int, p_space smallint, p_churn int) returns boolean
language plpgsql volatile
as $$
begin
    perform router_internal._enter(p_tenant);
    update router.memory_counts set churn = churn - p_churn
    where tenant_id = p_tenant and space_id = p_space and tier = 1 and churn >= p_churn;
    return found;
end;
$$;

comment on function router.settle_churn is
'Subtract replaced memories from the count before an index is rebuilt; false if another session did it.
A negative number adds them again, if the rebuild failed.';
