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
'Add a provider or change the one of that name; return its number.
p_key_variable: the environment variable of the proxy that holds its key; the key itself is never stored. p_speaks: the
APIs it supports; p_key_header: the header that carries the key. NULL keeps both, or takes OpenAI''s for a new
provider.';
