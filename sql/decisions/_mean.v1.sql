create function router_internal._mean(
    p_labels double precision,
    p_sum double precision,
    p_paired double precision,
    p_paired_sum double precision,
    p_n2 double precision,
    p_wider double precision
) returns double precision
language sql immutable
begin atomic
    select case
        when p_n2 = 0 or p_wider is null then coalesce(p_sum / nullif(p_labels, 0), p_wider)
        else (
            coalesce(p_paired_sum, 0)
            -- What single labels say, shrunk to the wider mean: another prompt may have been asked of each model.
            + p_n2 * (coalesce(p_sum - p_paired_sum, 0) + p_n2 * p_wider) / (coalesce(p_labels - p_paired, 0) + p_n2)
        ) / (coalesce(p_paired, 0) + p_n2)
    end;
end;

comment on function router_internal._mean is
'Return the mean quality of a model: that of its paired labels, shrunk to that of its single labels and p_wider.
Each mean weighs as many labels as p_n2 in the next one. p_n2 = 0: the plain mean of all labels. NULL: nothing is known.';
