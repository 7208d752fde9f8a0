create function router.expire_conversations(p_limit int default 5000, p_now timestamptz default now()) returns int
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_gone int;
    v_answers int;
    -- The server's clock bounds p_now, so that no caller can delete what has not expired.
    v_now timestamptz := least(p_now, now());
begin
    delete from router.conversations
    where
        ctid = any(array(
            select ctid from router.conversations where expires_at <= v_now order by expires_at limit p_limit
        ))
        and expires_at <= v_now;
    get diagnostics v_gone = row_count;
    delete from router.responses
    where
        ctid = any(array(
            select ctid from router.responses where expires_at <= v_now order by expires_at limit p_limit
        ))
        and expires_at <= v_now;
    get diagnostics v_answers = row_count;
    return v_gone + v_answers;
end;
$$;

comment on function router.expire_conversations is
'Delete up to p_limit expired conversations and up to as many expired responses of all tenants; return how many.
Runs as its owner; row level security lets it delete expired rows only.';
