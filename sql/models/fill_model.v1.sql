create function router.fill_model(
    p_name text,
    p_context_window int,
    p_max_output int,
    p_tools boolean,
    p_parallel_tools boolean,
    p_vision boolean,
    p_audio boolean,
    p_json_schema boolean,
    p_reasoning boolean,
    p_force boolean default false
) returns boolean
language plpgsql volatile
as $$
begin
    with known as (
        select
            m.model_id,
            coalesce(case when p_force then p_context_window end, m.context_window, p_context_window) as context_window,
            coalesce(case when p_force then p_max_output end, m.max_output, p_max_output) as max_output,
            coalesce(case when p_force then p_tools end, m.tools, p_tools) as tools,
            coalesce(case when p_force then p_parallel_tools end, m.parallel_tools, p_parallel_tools) as parallel_tools,
            coalesce(case when p_force then p_vision end, m.vision, p_vision) as vision,
            coalesce(case when p_force then p_audio end, m.audio, p_audio) as audio,
            coalesce(case when p_force then p_json_schema end, m.json_schema, p_json_schema) as json_schema,
            coalesce(case when p_force then p_reasoning end, m.reasoning, p_reasoning) as reasoning
        from router.models as m
        where m.name = p_name
    )

    update router.models as m set
        context_window = k.context_window, max_output = k.max_output, tools = k.tools,
        parallel_tools = k.parallel_tools, vision = k.vision, audio = k.audio, json_schema = k.json_schema,
        reasoning = k.reasoning
    from known as k
    where
        m.model_id = k.model_id
        and (
            m.context_window, m.max_output, m.tools, m.parallel_tools, m.vision, m.audio, m.json_schema, m.reasoning
        ) is distinct from (
            k.context_window, k.max_output, k.tools, k.parallel_tools, k.vision, k.audio, k.json_schema, k.reasoning
        );
    return found;
end;
$$;

comment on function router.fill_model is
'Fill in the capabilities of a model that are unknown; p_force overwrites known ones, too. True: something changed.
NULL: unknown, changes nothing.';
