create function router_internal._scopes(p_scopes text[], p_models smallint[]) returns text[]
language sql immutable
begin atomic
    select coalesce(
        p_scopes,
        case when p_models is null then array['ask', 'teach', 'manage'] else array['ask', 'teach'] end
    );
end;

comment on function router_internal._scopes is
'Return what a key may do, by its columns scopes and allowed_models.
Without scopes of its own a key may do everything; one that is for some models may not manage the tenant.';
