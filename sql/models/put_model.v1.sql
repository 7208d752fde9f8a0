create function router.put_model(
    p_name text,
    p_provider text,
    p_upstream_name text,
    p_input_price double precision,
    p_cached_input_price double precision,
    p_output_price double precision,
    p_priced_on date,
    p_context_window int,
    p_tools boolean,
    p_vision boolean,
    p_json_schema boolean,
    p_enabled boolean default true,
    p_parallel_tools boolean default null,
    p_audio boolean default null,
    p_reasoning boolean default null,
    p_max_output int default null,
    p_settings jsonb default null,
    p_upstream_price boolean default false
) returns smallint
language plpgsql volatile
as $$
declare
    v_provider smallint;
    v_model smallint;
begin
    select provider_id into v_provider from router.providers where name = p_provider;
    if not found then
        raise exception 'there is no provider %', p_provider using errcode = 'RT003', column = 'provider';
    end if;
    insert into router.models as m (
        name, provider_id, upstream_name, input_price, cached_input_price, output_price, priced_on, context_window,
        tools, vision, json_schema, enabled, parallel_tools, audio, reasoning, max_output, settings
    ) values (
        p_name, v_provider, p_upstream_name, p_input_price, p_cached_input_price, p_output_price, p_priced_on,
        p_context_window, p_tools, p_vision, p_json_schema, p_enabled, p_parallel_tools, p_audio, p_reasoning,
        p_max_output, coalesce(p_settings, '{}')
    )
    on conflict (name) do update set
        provider_id = excluded.provider_id,
        upstream_name = excluded.upstream_name,
        input_price = coalesce(excluded.input_price, case when not p_upstream_price then m.input_price end),
        -- A cached price that belonged to another input price is no longer right.
        cached_input_price = case
            when excluded.input_price is null and not p_upstream_price
                then coalesce(excluded.cached_input_price, m.cached_input_price)
            else excluded.cached_input_price
        end,
        output_price = coalesce(excluded.output_price, case when not p_upstream_price then m.output_price end),
        priced_on = coalesce(excluded.priced_on, case when not p_upstream_price then m.priced_on end),
        context_window = coalesce(excluded.context_window, m.context_window),
        tools = coalesce(excluded.tools, m.tools),
        vision = coalesce(excluded.vision, m.vision),
        json_schema = coalesce(excluded.json_schema, m.json_schema),
        enabled = excluded.enabled,
        parallel_tools = coalesce(excluded.parallel_tools, m.parallel_tools),
        audio = coalesce(excluded.audio, m.audio),
        reasoning = coalesce(excluded.reasoning, m.reasoning),
        max_output = coalesce(excluded.max_output, m.max_output),
        settings = coalesce(p_settings, m.settings)
    returning m.model_id into v_model;
    return v_model;
end;
$$;

comment on function router.put_model is
'Add a model or change the one of that name; return its number.
NULL keeps a value, except that a new input price without a cached input price removes the old one. Prices are USD per
million tokens; p_upstream_price removes the model''s own, so that those of its upstream model apply. p_settings replaces
all settings, a flat object of dotted names. Raises RT003 for an unknown provider, 23514 for settings out of bounds.';
