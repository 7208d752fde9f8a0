create function router_internal._notify_change() returns trigger
language plpgsql
as $$
begin
    perform pg_notify('router_changed', tg_table_name);
    return null;
end;
$$;

comment on function router_internal._notify_change is
'Trigger: NOTIFY router_changed with the table''s name, so that the proxies read the table again.';
