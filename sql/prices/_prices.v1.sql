create function router_internal._prices(p_tenant int) returns table (
    model_id smallint, input_price double precision, cached_input_price double precision, output_price double precision,
    priced_on date, own boolean, priced_by smallint
)
language sql stable
begin atomic
    select
        w.model_id,
        coalesce(t.input_price, u.input_price, w.input_price),
        case
            when t.model_id is not null then t.cached_input_price
            when u.model_id is not null then u.cached_input_price
            else w.cached_input_price
        end,
        coalesce(t.output_price, u.output_price, w.output_price),
        coalesce(t.priced_on, u.priced_on, w.priced_on),
        t.model_id is not null,
        w.priced_by
    from router_internal._model_prices() as w
    left join router.tenant_prices as t on t.tenant_id = p_tenant and t.model_id = w.model_id
    left join router.tenant_prices as u
        on u.tenant_id = p_tenant and u.model_id = nullif(w.priced_by, w.model_id);
end;

comment on function router_internal._prices is
'Return what a tenant, which must have been entered, pays for each model; own: whether that is the tenant''s own price.
In this order: the tenant''s price of the model, the tenant''s price of the model that it is priced by (_model_prices),
the price of that model. Each replaces all others. If the input or output price is NULL, the model has no price.';
