create function router.revision() returns text
language sql stable
begin atomic
    select version_num::text from router.alembic_version;
end;

comment on function router.revision is
'The schema revision of this database.';
