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
'Return the model that gave a stored response, by 16 bytes of the response''s id; NULL: unknown or expired.
NULL too for a conversation that the default provider stores.';
