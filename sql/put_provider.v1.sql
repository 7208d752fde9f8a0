create function router.put_provider(p_name text, p_base_url text, p_key_variable text) returns smallint
language sql volatile
begin atomic
    insert into router.providers as p (name, base_url, key_variable)
    values (p_name, rtrim(p_base_url, '/'), p_key_variable)
    on conflict (name) do update set base_url = excluded.base_url, key_variable = excluded.key_variable
    returning p.provider_id;
end;

comment on function router.put_provider is
'Adds a provider, or changes the one of that name. The key itself stays in the environment variable named here.';
