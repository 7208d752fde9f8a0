create function router_internal._stored_scopes(p_scopes text[]) returns text[]
language plpgsql stable
as $$
declare
    v_unknown text;
begin
    select coalesce(w.name, 'NULL') into v_unknown
    from unnest(p_scopes) with ordinality as w (name, place)
    where (w.name in ('ask', 'teach', 'manage')) is not true
    order by w.place
    limit 1;
    if found then
        raise exception 'there is no scope %: the scopes are ask, teach and manage', v_unknown
            using errcode = 'RT014', column = 'scopes';
    end if;
    return (
        select array_agg(s.name order by s.place)
        from unnest(array['ask', 'teach', 'manage']) with ordinality as s (name, place)
        where s.name = any(p_scopes)
    );
end;
$$;

comment on function router_internal._stored_scopes is
'Return the value of the column api_keys.scopes for these scopes, each once; NULL for NULL or none.
Raises RT014 for an unknown scope.';
