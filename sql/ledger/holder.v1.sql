create function router.holder(p_tenant int, p_response bytea, p_now timestamptz default now()) returns smallint
language plpgsql stable
as $$
begin
    perform router_internal._enter(p_tenant);
    return (
        select r.model_id
        from router.responses as r
        where r.tenant_id = p_tenant and r.response = p_response and r.expires_at > p_now
    );
end;
$$;

comment on function router.holder is
'The model that gave an answer which its provider keeps, by the 16 bytes that stand for its id; NULL: nobody knows.';
