create function router.drop_day(p_day date) returns boolean
language plpgsql volatile security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v_name text := format('router.decisions_%s', to_char(p_day, 'YYYYMMDD'));
begin
    -- By the server's clock, not an argument: no mistake may drop the current ledger.
    if p_day >= (now() at time zone 'UTC')::date - 1 then
        raise exception 'the ledger of % is too recent to be dropped', p_day using errcode = 'RT006';
    end if;
    if not exists (
        select from pg_catalog.pg_inherits
        where inhparent = 'router.decisions'::regclass and inhrelid = to_regclass(v_name)
    ) then
        return false;
    end if;
    perform set_config('lock_timeout', '50ms', true);
    execute 'drop table ' || v_name;
    return true;
end;
$$;

comment on function router.drop_day is
'Drop the ledger''s partition of a day (UTC); false if there is none.
Raises RT006 for today and yesterday, and lock_not_available (55P03) if the ledger is being read: try again later. Runs
as its owner, because the proxy may not drop tables.';
