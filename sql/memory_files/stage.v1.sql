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
'Makes this session''s own empty table staged_examples, for examples to be copied into and record_staged to teach.
The table goes with the session, so that nothing is left of an import that broke off.';
