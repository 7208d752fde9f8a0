create function router_internal._bucket_level(
    p_left double precision, p_limit int, p_since timestamptz, p_now timestamptz
) returns double precision
language sql immutable
begin atomic
    select case
        when p_limit is not null then least(
            p_limit,
            coalesce(p_left, p_limit)
            + greatest(extract(epoch from p_now - p_since)::double precision, 0) * p_limit / 60
        )
    end;
end;

comment on function router_internal._bucket_level is
'Return what a token bucket holds at p_now if it held p_left at p_since: a sixtieth of its limit more each second.
The limit is the most it holds. NULL: there is no limit; p_left NULL: it was full. A clock that runs behind takes
nothing.';
