create function router_internal._with_weights(
    p_rule router_internal.rule, p_n0 double precision, p_n0_task double precision
) returns router_internal.rule
language sql immutable
begin atomic
    select (
        p_n0, p_n0_task, (p_rule).n1, (p_rule).n2, (p_rule).ease_support, (p_rule).share, (p_rule).fit_n0,
        (p_rule).guess_task
    )::router_internal.rule;
end;

comment on function router_internal._with_weights is 'Return a rule with other weights of the prior.';
