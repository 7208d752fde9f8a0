create function router_internal._open_day(p_day date) returns void
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_name text := format('decisions_%s', to_char(p_day, 'YYYYMMDD'));
begin
    if to_regclass('router.' || v_name) is not null then
        return;
    end if;
    perform from router_internal.job_locks as l where l.job = 'open_day' for no key update;
    -- A query, because to_regclass may answer from the session's cache, which a row lock does not refresh.
    if not exists (
        select from pg_class as c where c.relnamespace = 'router'::regnamespace and c.relname = v_name
    ) then
        -- ATTACH, because PARTITION OF would wait for all readers of the ledger.
        execute format(
            'create table router.%I (like router.decisions including constraints including defaults including storage)',
            v_name
        );
        execute format(
            'alter table router.decisions attach partition router.%I for values from (%L) to (%L)',
            v_name, p_day::timestamp at time zone 'UTC', (p_day + 1)::timestamp at time zone 'UTC'
        );
        execute format('comment on table router.%I is %L', v_name, 'The ledger of ' || p_day || ' (UTC).');
    end if;
end;
$$;

comment on function router_internal._open_day is
'Create the ledger''s partition of a day (UTC) if it does not exist.
Runs as its owner, because the proxy may not create tables.';
