create function router.list_models() returns table (
    model_id smallint,
    name text,
    provider text,
    upstream_name text,
    input_price double precision,
    cached_input_price double precision,
    output_price double precision,
    priced_on date,
    context_window int,
    tools boolean,
    vision boolean,
    json_schema boolean,
    enabled boolean,
    parallel_tools boolean,
    audio boolean,
    reasoning boolean,
    max_output int,
    settings jsonb,
    priced_by text
)
language sql stable
begin atomic
    select
        m.model_id, m.name, p.name, m.upstream_name, w.input_price, w.cached_input_price, w.output_price, w.priced_on,
        m.context_window, m.tools, m.vision, m.json_schema, m.enabled, m.parallel_tools, m.audio, m.reasoning,
        m.max_output, m.settings, u.name
    from router.models as m
    inner join router.providers as p on p.provider_id = m.provider_id
    inner join router_internal._model_prices() as w on w.model_id = m.model_id
    left join router.models as u on u.model_id = w.priced_by and w.priced_by <> m.model_id
    order by m.name;
end;

comment on function router.list_models is
'List all models by name, disabled ones included, with capabilities, settings, prices and their date.
priced_by: the upstream model whose prices these are; NULL: they are the model''s own, or unknown.';
