create function router.change_tenant(
    p_tenant int,
    p_memory_cap int default null,
    p_store_prompts boolean default null,
    p_route_explicit boolean default null,
    p_shared boolean default null,
    p_base int default null,
    p_default_provider text default null
) returns boolean
language plpgsql volatile
as $$
declare
    v_provider smallint;
begin
    if p_base <> 0 and not exists (select from router.tenants where tenant_id = p_base and shared) then
        raise exception 'tenant % shares no memory', coalesce(
            (select name from router.tenants where tenant_id = p_base), p_base::text
        ) using errcode = 'RT012', column = 'base';
    end if;
    if p_default_provider <> '' then
        select provider_id into v_provider from router.providers where name = p_default_provider;
        if not found then
            raise exception 'there is no provider %', p_default_provider
                using errcode = 'RT003', column = 'default_provider';
        end if;
    end if;
    perform router_internal._enter(p_tenant);
    if not p_store_prompts then
        -- A call that is teaching now would store prompts after they were erased.
        perform router_internal._lock_memory(p_tenant);
    end if;
    update router.tenants set
        memory_cap = coalesce(p_memory_cap, memory_cap),
        store_prompts = coalesce(p_store_prompts, store_prompts),
        route_explicit = coalesce(p_route_explicit, route_explicit),
        shared = coalesce(p_shared, shared),
        base_id = case when p_base is null then base_id else nullif(p_base, 0) end,
        default_provider = case when p_default_provider is null then default_provider else v_provider end
    where tenant_id = p_tenant;
    if not found then
        return false;
    end if;
    if not p_store_prompts then
        update router.memory_texts set prompt = null where tenant_id = p_tenant and prompt is not null;
    end if;
    return true;
end;
$$;

comment on function router.change_tenant is
'Change the settings of a tenant; NULL leaves a setting as it is. False: there is no such tenant.
p_store_prompts false erases the stored prompts. A smaller cap applies from the next teaching on. p_shared: other
tenants may use its memory; p_base: the shared tenant whose memory it uses, 0: none. p_default_provider: serves
requests that name no model; '''': the provider of the default model of policy auto. Raises RT012 if that tenant shares
no memory, RT003 for an unknown provider.';
