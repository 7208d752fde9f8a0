create function router_internal._add_known(p_one double precision, p_other double precision) returns double precision
language sql immutable
begin atomic
    select coalesce(p_one + p_other, p_one, p_other);
end;

comment on function router_internal._add_known is
'Add two numbers, of which either may be unknown (NULL); NULL if both are.';
