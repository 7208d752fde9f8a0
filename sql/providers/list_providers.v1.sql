create function router.list_providers() returns table (
    provider_id smallint, name text, base_url text, key_variable text, speaks text[], key_header text, models bigint
)
language sql stable
begin atomic
    select
        p.provider_id, p.name, p.base_url, p.key_variable, p.speaks, p.key_header,
        (select count(*) from router.models as m where m.provider_id = p.provider_id)
    from router.providers as p
    order by p.name;
end;

comment on function router.list_providers is
'List all providers by name, with how many models each serves, disabled ones included.';
