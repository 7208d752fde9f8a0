create function router_internal._add_known(p_one double precision, p_other double precision) returns double precision
language sql immutable
begin atomic
    select coalesce(p_one + p_other, p_one, p_other);
end;

comment on function router_internal._add_known is 'The sum of what is known; NULL where neither is.';
