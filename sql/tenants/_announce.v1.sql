create function router._announce() returns trigger
language plpgsql
as $$
begin
    perform pg_notify('router_changed', tg_table_name);
    return null;
end;
$$;

comment on function router._announce is
'Tells every proxy that what it remembers of this table is stale: NOTIFY router_changed with the table''s name.';
