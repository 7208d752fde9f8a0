create function router_internal._prices(p_tenant int) returns table (
    model_id smallint, input_price double precision, cached_input_price double precision, output_price double precision,
    priced_on date, own boolean
)
language sql stable
begin atomic
    select
        m.model_id,
        case when t.model_id is null then m.input_price else t.input_price end,
        case when t.model_id is null then m.cached_input_price else t.cached_input_price end,
        case when t.model_id is null then m.output_price else t.output_price end,
        case when t.model_id is null then m.priced_on else t.priced_on end,
        t.model_id is not null
    from router.models as m
    left join router.tenant_prices as t on t.tenant_id = p_tenant and t.model_id = m.model_id;
end;

comment on function router_internal._prices is
'Return what a tenant, which must have been entered, pays for each model; own: whether that is the tenant''s own price.
A tenant''s price replaces all of the model''s prices. If the input or output price is NULL, the model has no price.';
