create function router.expire_conversations(p_limit int default 5000, p_now timestamptz default now()) returns int
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_gone int;
    v_answers int;
    -- A caller that is not trusted with the owner's rights ends none that goes on.
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
'Forgets up to p_limit conversations of any tenants that nobody continues any more, and up to as many answers that no
provider keeps any more; returns how many.
Runs as its owner, whom row level security shows those that have expired, of all tenants, and no others.';
