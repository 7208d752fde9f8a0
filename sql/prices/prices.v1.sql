create function router.prices(p_tenant int) returns table (
    model text, provider text, input_price double precision, cached_input_price double precision,
    output_price double precision, priced_on date, origin text
)
language plpgsql stable
as $$
begin
    perform router_internal._enter(p_tenant);
    return query
    select
        m.name, h.name, p.input_price, p.cached_input_price, p.output_price, p.priced_on,
        case
            when p.own then 'tenant'
            when p.input_price is null or p.output_price is null then 'unpriced'
            when p.priced_by <> p.model_id then 'upstream'
            else 'model'
        end
    from router_internal._prices(p_tenant) as p
    inner join router.models as m on m.model_id = p.model_id
    inner join router.providers as h on h.provider_id = m.provider_id
    where m.enabled
    order by m.name;
end;
$$;

comment on function router.prices is
'Return what a tenant pays for each enabled model, in USD per million tokens, and since when.
origin: tenant (a price of its own), model (the model''s price), upstream (what it pays for the model''s upstream model),
or unpriced (input or output price unknown).';
