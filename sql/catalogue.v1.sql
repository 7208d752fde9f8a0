create function router.catalogue() returns table (
    model_id smallint,
    name text,
    provider text,
    base_url text,
    key_variable text,
    upstream_name text,
    input_price double precision,
    cached_input_price double precision,
    output_price double precision,
    context_window int,
    tools boolean,
    vision boolean,
    json_schema boolean
)
language sql stable
begin atomic
    select
        m.model_id, m.name, p.name, p.base_url, p.key_variable, m.upstream_name,
        m.input_price, m.cached_input_price, m.output_price, m.context_window, m.tools, m.vision, m.json_schema
    from router.models as m
    inner join router.providers as p on p.provider_id = m.provider_id
    where m.enabled
    order by m.name;
end;

comment on function router.catalogue is
'Every enabled model with the provider that serves it and what it can do.';
