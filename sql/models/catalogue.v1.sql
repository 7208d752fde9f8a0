create function router.catalogue() returns table (
    model_id smallint,
    name text,
    provider text,
    upstream_name text,
    input_price double precision,
    cached_input_price double precision,
    output_price double precision,
    context_window int,
    tools boolean,
    vision boolean,
    json_schema boolean,
    parallel_tools boolean,
    audio boolean,
    reasoning boolean,
    max_output int,
    enabled boolean,
    settings jsonb
)
language sql stable
begin atomic
    select
        m.model_id, m.name, p.name, m.upstream_name, w.input_price, w.cached_input_price, w.output_price,
        m.context_window, m.tools, m.vision, m.json_schema, m.parallel_tools, m.audio, m.reasoning, m.max_output,
        m.enabled, m.settings
    from router.models as m
    inner join router.providers as p on p.provider_id = m.provider_id
    inner join router_internal._model_prices() as w on w.model_id = m.model_id
    order by m.name;
end;

comment on function router.catalogue is
'Return all models with their provider''s name, prices, limits, capabilities and settings.
Disabled ones are included: their labels are labels.';
