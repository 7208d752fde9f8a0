create function router.put_price(
    p_tenant int,
    p_model text,
    p_input_price double precision,
    p_cached_input_price double precision,
    p_output_price double precision,
    p_priced_on date default current_date
) returns boolean
language plpgsql volatile
as $$
declare
    v_model smallint;
    v_new boolean;
begin
    perform router_internal._enter(p_tenant);
    if not exists (select from router.tenants where tenant_id = p_tenant) then
        raise exception 'there is no tenant %', p_tenant using errcode = 'RT001', column = 'tenant';
    end if;
    select m.model_id into v_model from router.models as m where m.name = p_model;
    if not found then
        raise exception 'there is no model %', p_model using errcode = 'RT003', column = 'model';
    end if;
    insert into router.tenant_prices (
        tenant_id, model_id, input_price, cached_input_price, output_price, priced_on
    ) values (p_tenant, v_model, p_input_price, p_cached_input_price, p_output_price, p_priced_on)
    on conflict on constraint tenant_prices_pkey do update set
        input_price = excluded.input_price,
        cached_input_price = excluded.cached_input_price,
        output_price = excluded.output_price,
        priced_on = excluded.priced_on
    returning xmax = 0 into v_new;
    return v_new;
end;
$$;

comment on function router.put_price is
'Set what a tenant pays for a model, in USD per million tokens, in place of the model''s prices; true if it is new.
It replaces all prices of the model. Decisions and the ledger use it from now on. p_cached_input_price NULL: cached
tokens cost as much as others. Raises RT001 for an unknown tenant, RT003 for an unknown model.';
