create function router.build_space(p_tenant int, p_space smallint) returns smallint
language plpgsql volatile
as $$
declare
    v_tenant router.tenants;
    v_serving smallint;
begin
    perform router_internal._enter(p_tenant);
    select * into v_tenant from router.tenants where tenant_id = p_tenant for no key update;
    if not found then
        raise exception 'there is no tenant %', p_tenant using errcode = 'RT001';
    end if;
    if v_tenant.next_space_id <> p_space then
        raise exception 'the memory of tenant % is being rewritten for % already: finish or stop that', v_tenant.name,
            (select s.name from router.spaces as s where s.space_id = v_tenant.next_space_id)
            using errcode = 'RT007';
    end if;
    -- Stored explicitly: NULL means the proxy's own embedder, which may be another one by now.
    select s.space_id into v_serving from router.spaces_of(p_tenant) as s where s.serves;
    v_serving := coalesce(v_serving, p_space);
    update router.tenants
    set space_id = v_serving, next_space_id = nullif(p_space, v_serving)
    where tenant_id = p_tenant;
    return v_serving;
end;
$$;

comment on function router.build_space is
'Begin or continue to rewrite a tenant''s memory for another space; p_space NULL gives it up.
Returns the space that serves meanwhile: the tenant''s own, or else its fullest. A tenant without memories is switched
at once. Raises RT001 for an unknown tenant, RT007 while its memory is being rewritten for a third space.';
