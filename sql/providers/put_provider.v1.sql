create function router.put_provider(
    p_name text, p_base_url text, p_key_variable text, p_speaks text[] default null, p_key_header text default null
) returns smallint
language sql volatile
begin atomic
    insert into router.providers as p (name, base_url, key_variable, speaks, key_header)
    values (
        p_name, rtrim(p_base_url, '/'), p_key_variable,
        coalesce(p_speaks, '{chat,responses,completions,embeddings}'), coalesce(p_key_header, 'authorization')
    )
    on conflict (name) do update set
        base_url = excluded.base_url,
        key_variable = excluded.key_variable,
        speaks = coalesce(p_speaks, p.speaks),
        key_header = coalesce(p_key_header, p.key_header)
    returning p.provider_id;
end;

comment on function router.put_provider is
'Adds a provider, or changes the one of that name. The key itself stays in the environment variable named here.
p_speaks: the APIs it answers, p_key_header: what carries its key; NULL keeps what is known, or takes what OpenAI has.';
