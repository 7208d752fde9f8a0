create function router.stage() returns void
language plpgsql volatile
as $$
begin
    create temp table staged_examples (
        position int generated always as identity primary key,
        like router.example
    );
end;
$$;

comment on function router.stage is
'Create this session''s empty table staged_examples, to copy examples into before record_staged.
The table is temporary, so that an interrupted import leaves nothing behind.';
