create function router_internal._check_goal(
    p_target double precision, p_at_most double precision, p_margin double precision
) returns void
language plpgsql immutable
as $$
begin
    -- `is not true`, because NULL is wrong as well.
    if num_nonnulls(p_target, p_at_most) <> 1 then
        raise exception 'give either a target or the share of requests that may be worse (at_most)'
            using errcode = '22023', column = case when p_target is null then 'target' else 'at_most' end;
    elsif p_target is not null and (p_target > 0 and p_target < 100) is not true then
        raise exception 'the target must be a share of the default model''s quality above 0 and below 100, such as 0.98, not %', p_target
            using errcode = '22023', column = 'target';
    elsif p_at_most is not null and (p_at_most > 0 and p_at_most < 1) is not true then
        raise exception 'the share of requests that may be worse must be above 0 and below 1, such as 0.05, not %', p_at_most
            using errcode = '22023', column = 'at_most';
    elsif (p_margin >= 0 and p_margin < 1) is not true then
        raise exception 'the margin of quality that counts as worse must be from 0 to below 1, not %', p_margin
            using errcode = '22023', column = 'margin';
    end if;
end;
$$;

comment on function router_internal._check_goal is
'Raise 22023 if the goal of a calibration is missing, doubled or out of range.';
