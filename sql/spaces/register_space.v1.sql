create function router.register_space(p_name text, p_dimensions int) returns smallint
language plpgsql volatile
as $$
declare
    v_space router.spaces;
begin
    -- Look first: a start that finds the space must work on a standby.
    select * into v_space from router.spaces where name = p_name;
    if not found then
        insert into router.spaces (name, dimensions) values (p_name, p_dimensions) on conflict (name) do nothing;
        select * into v_space from router.spaces where name = p_name;
    end if;
    return v_space.space_id;
end;
$$;

comment on function router.register_space is
'Return the number of an embedding space by its name, creating it at its first use.
Raises check_violation (23514) if it has more dimensions than the column.';
