create function router.drop_price(p_tenant int, p_model text) returns boolean
language plpgsql volatile
as $$
declare
    v_model smallint;
    v_unpriced text;
    v_policy text;
begin
    perform router_internal._enter(p_tenant);
    select m.model_id into v_model from router.models as m where m.name = p_model;
    if not found then
        raise exception 'there is no model %', p_model using errcode = 'RT003', column = 'model';
    end if;
    delete from router.tenant_prices where tenant_id = p_tenant and model_id = v_model;
    if not found then
        return false;
    end if;
    select m.name, p.name into v_unpriced, v_policy
    from router_internal._prices(p_tenant) as w
    inner join router.models as m on m.model_id = w.model_id
    inner join router.policies as p on p.tenant_id = p_tenant and p.backend in ('knn', 'cheapest')
    where
        v_model in (w.model_id, w.priced_by) and (w.input_price is null or w.output_price is null)
        and (
            p.default_model = w.model_id
            or exists (
                select from router.policy_models as c
                where c.tenant_id = p_tenant and c.policy_id = p.policy_id and c.model_id = w.model_id
            )
        )
    order by p.name, m.name
    limit 1;
    if found then
        raise exception 'without it model % has no price, and policy % weighs its cost', v_unpriced, v_policy
            using errcode = 'RT011', column = 'model';
    end if;
    return true;
end;
$$;

comment on function router.drop_price is
'Remove a tenant''s own price of a model, so that it pays the model''s; true if it had one.
Raises RT003 for an unknown model, RT011 if a policy weighs the cost of a model that would then have no price: this one,
or one that is priced by it.';
