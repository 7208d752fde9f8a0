create function router_internal._fit_settings(p_policy router.policies) returns text
language sql stable
begin atomic
    select concat_ws(
        ' ', (p_policy).n0_task, (p_policy).n1, (p_policy).n2, (p_policy).ease, (p_policy).transfer > 0,
        (p_policy).fit_n0, (p_policy).guess_task, (p_policy).base_weight
    );
end;

comment on function router_internal._fit_settings is
'Return the settings of a policy that a fit depends on, beside k and tau, as text to compare.';
