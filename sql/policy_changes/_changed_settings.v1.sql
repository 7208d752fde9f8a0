create function router_internal._changed_settings(p_before jsonb, p_after jsonb) returns text[]
language sql immutable
begin atomic
    select coalesce(array_agg(a.key order by a.key), '{}')
    from jsonb_each(p_after) as a
    where p_before -> a.key is distinct from a.value;
end;

comment on function router_internal._changed_settings is
'Return the names of the settings in which two states of a policy differ; all of them if p_before is NULL.';
