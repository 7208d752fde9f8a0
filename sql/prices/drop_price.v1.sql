create function router.drop_price(p_tenant int, p_model text) returns boolean
language plpgsql volatile
as $$
declare
    v_model router.models;
    v_policy text;
begin
    perform router_internal._enter(p_tenant);
    select * into v_model from router.models where name = p_model;
    if not found then
        raise exception 'there is no model %', p_model using errcode = 'RT003', column = 'model';
    end if;
    if v_model.input_price is null or v_model.output_price is null then
        select p.name into v_policy
        from router.policies as p
        where
            p.tenant_id = p_tenant and p.backend in ('knn', 'cheapest')
            and (
                p.default_model = v_model.model_id
                or exists (
                    select from router.policy_models as c
                    where c.tenant_id = p_tenant and c.policy_id = p.policy_id and c.model_id = v_model.model_id
                )
            )
        order by p.name
        limit 1;
        if found then
            raise exception 'without it model % has no price, and policy % weighs its cost', p_model, v_policy
                using errcode = 'RT011', column = 'model';
        end if;
    end if;
    delete from router.tenant_prices where tenant_id = p_tenant and model_id = v_model.model_id;
    return found;
end;
$$;

comment on function router.drop_price is
'Remove a tenant''s own price of a model, so that it pays the model''s; true if it had one.
Raises RT003 for an unknown model, RT011 if the model has no price and a policy weighs its cost.';
