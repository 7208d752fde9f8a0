create function router.revision() returns text
language sql stable
begin atomic
    select version_num::text from router.alembic_version;
end;

comment on function router.revision is
'Return the schema revision of this database.';
