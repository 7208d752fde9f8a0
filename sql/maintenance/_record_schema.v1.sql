create function router_internal._record_schema() returns void
language plpgsql volatile
as $$
begin
    delete from router_internal.schema_facts;
    insert into router_internal.schema_facts (kind, name, detail, definition)
    select f.kind, f.name, f.detail, f.definition
    from router_internal._schema_facts(true) as f;
end;
$$;

comment on function router_internal._record_schema is
'Record what the schemas consist of, so that check_schema finds what differs later. Migrations call it at their end.';
