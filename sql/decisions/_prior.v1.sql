create function router_internal._prior(
    p_sum double precision, p_labels double precision, p_weight double precision, p_mean double precision
) returns double precision
language sql immutable
begin atomic
    select coalesce(
        (coalesce(p_sum, 0) + p_weight * p_mean) / nullif(coalesce(p_labels, 0) + p_weight, 0),
        p_mean,
        p_sum / nullif(p_labels, 0)
    );
end;

comment on function router_internal._prior is
'Shrink the mean of some labels to a wider mean, which weighs as many labels as p_weight.
NULL: neither is known.';
