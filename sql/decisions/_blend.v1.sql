create function router_internal._blend(
    p_weighted double precision, p_support double precision, p_n0 double precision, p_prior double precision
) returns double precision
language sql immutable
begin atomic
    select case when p_prior is null then p_weighted / p_support
        else (coalesce(p_weighted, 0) + p_n0 * p_prior) / nullif(coalesce(p_support, 0) + p_n0, 0)
    end;
end;

comment on function router_internal._blend is
'Blend neighbours with a prior: (sum w q + n0 prior) / (sum w + n0), or the neighbours'' mean if there is no prior.
p_weighted: sum w q; p_support: sum w; both NULL: no neighbour has a label.';
