create function router_internal._borrowed(
    p_fitted smallint[], p_transfer double precision[], p_models smallint[], p_support double precision[],
    p_excess double precision[], p_model smallint
) returns double precision
language plpgsql immutable
as $$
declare
    v_size constant int := cardinality(p_fitted);
    v_column constant int := array_position(p_fitted, p_model) - cardinality(p_fitted);
    v_borrowed double precision := 0;
begin
    for i in 1..cardinality(p_models) loop
        v_borrowed := v_borrowed + p_excess[i] / (p_support[i] + 2) * p_transfer[
            array_position(p_fitted, p_models[i]) * v_size + v_column
        ];
    end loop;
    return v_borrowed;
end;
$$;

comment on function router_internal._borrowed is
'Return what the neighbours'' labels of all candidates add to the estimate of one, by the matrix of the policy''s fit.
p_support, p_excess: sums of weights and of weight * (label - prior), in the order of p_models.';
