create function router_internal._model_prices() returns table (
    model_id smallint, priced_by smallint, input_price double precision, cached_input_price double precision,
    output_price double precision, priced_on date
)
language sql stable
begin atomic
    select
        m.model_id,
        coalesce(u.model_id, m.model_id),
        case when u.model_id is null then m.input_price else u.input_price end,
        case when u.model_id is null then m.cached_input_price else u.cached_input_price end,
        case when u.model_id is null then m.output_price else u.output_price end,
        case when u.model_id is null then m.priced_on else u.priced_on end
    from router.models as m
    -- NULL, which ends the search of the index at once, for most models: they have prices of their own.
    left join router.models as u
        on
            u.name = case when m.input_price is null and m.output_price is null then m.upstream_name end
            and u.upstream_name = u.name and u.provider_id = m.provider_id and u.model_id <> m.model_id;
end;

comment on function router_internal._model_prices is
'Return the prices of each model in USD per million tokens, and the model that they belong to (priced_by).
A model without an input and an output price of its own has those of its upstream model: the one, enabled or not, of the
same provider whose name and upstream name are its upstream name. If there is none, or that has no price, they are NULL.';
