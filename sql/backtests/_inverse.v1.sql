create function router_internal._inverse(p_matrix double precision[], p_size int, p_ridge double precision)
returns double precision[]
language plpgsql immutable
as $$
declare
    v_matrix double precision[] := p_matrix;
    v_pivot double precision;
    v_factor double precision;
    v_row int;
    v_other int;
begin
    for i in 1..p_size loop
        v_matrix[(i - 1) * p_size + i] := v_matrix[(i - 1) * p_size + i] + p_ridge;
    end loop;
    -- Gauss and Jordan, in place; a positive definite matrix needs no exchange of rows.
    for i in 1..p_size loop
        v_row := (i - 1) * p_size;
        v_pivot := v_matrix[v_row + i];
        v_matrix[v_row + i] := 1;
        for j in 1..p_size loop
            v_matrix[v_row + j] := v_matrix[v_row + j] / v_pivot;
        end loop;
        for k in 1..p_size loop
            continue when k = i;
            v_other := (k - 1) * p_size;
            v_factor := v_matrix[v_other + i];
            v_matrix[v_other + i] := 0;
            for j in 1..p_size loop
                v_matrix[v_other + j] := v_matrix[v_other + j] - v_factor * v_matrix[v_row + j];
            end loop;
        end loop;
    end loop;
    return v_matrix;
end;
$$;

comment on function router_internal._inverse is
'Return the inverse of a positive semi-definite matrix of p_size rows, in rows, plus p_ridge > 0 on its diagonal.';
