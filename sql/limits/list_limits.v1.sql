create function router.list_limits(p_tenant int) returns setof router.budgets
language plpgsql stable
as $$
begin
    perform router_internal._enter(p_tenant);
    return query select b.* from router.budgets as b where b.tenant_id = p_tenant order by b.key_id nulls first;
end;
$$;

comment on function router.list_limits is
'List the limits of a tenant and of its keys with what is used and left, as the view budgets; the tenant''s own first.';
