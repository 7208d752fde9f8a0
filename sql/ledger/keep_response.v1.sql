create function router.keep_response(
    p_tenant int, p_response bytea, p_model smallint, p_now timestamptz default now()
) returns void
language plpgsql volatile
as $$
begin
    perform router_internal._enter(p_tenant);
    insert into router.responses as r (tenant_id, response, model_id, expires_at)
    values (p_tenant, p_response, p_model, p_now + interval '30 days')
    on conflict on constraint responses_pkey do update set
        model_id = coalesce(r.model_id, excluded.model_id),
        expires_at = greatest(r.expires_at, excluded.expires_at);
end;
$$;

comment on function router.keep_response is
'Store for 30 days that a conversation is the tenant''s, and the model whose provider stores it.
p_response: 16 bytes of the id''s hash. p_model NULL: the default provider stores it.';
