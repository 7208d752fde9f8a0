create function router.embedding_width() returns int
language sql stable
begin atomic
    select a.atttypmod
    from pg_catalog.pg_attribute as a
    where a.attrelid = 'router.memories'::regclass and a.attname = 'embedding';
end;

comment on function router.embedding_width is
'Return the dimensions of the embedding column, as chosen at the first migration.';
