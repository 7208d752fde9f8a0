create function router.chores(p_graduate_at int, p_ledger_days int, p_now timestamptz default now()) returns table (
    chore text, tenant_id int, tenant text, space_id smallint, day date, amount bigint, churn int
)
language sql stable security definer set search_path = pg_catalog, pg_temp
begin atomic
    with today as (select (p_now at time zone 'UTC')::date as day),
    leaves as (
        select
            l.oid,
            split_part(l.relname, '_', 3)::int as tenant_id,
            split_part(l.relname, '_', 4)::smallint as space_id
        from pg_catalog.pg_partition_tree('router.memories_large') as t
        inner join pg_catalog.pg_class as l on l.oid = t.relid
        where l.relname ~ '^memories_large_[0-9]{1,9}_[0-9]{1,4}$'
    ),
    counts as (
        select c.*, t.name, t.next_space_id
        from router.memory_counts as c
        inner join router.tenants as t on t.tenant_id = c.tenant_id
    ),
    due as (
        select
            1 as turn, 'open_day' as chore, null::int as tenant_id, null as tenant, null::smallint as space_id,
            t.day + n.n as day, null::bigint as amount, null::int as churn
        from today as t
        cross join (values (0), (1)) as n (n)
        where to_regclass('router.decisions_' || to_char(t.day + n.n, 'YYYYMMDD')) is null
        union all
        select
            2, 'drop_day', null, null, null, to_date(split_part(c.relname, '_', 2), 'YYYYMMDD'),
            nullif(c.reltuples, -1)::bigint, null
        from today as t
        inner join pg_catalog.pg_inherits as i on i.inhparent = 'router.decisions'::regclass
        inner join pg_catalog.pg_class as c on c.oid = i.inhrelid
        where
            c.relname ~ '^decisions_[0-9]{8}$'
            and c.relname < 'decisions_' || to_char(t.day - greatest(p_ledger_days, 1), 'YYYYMMDD')
        union all
        select 3, 'expire_conversations', null, null, null, null, null, null
        where
            exists (select from router.conversations as v where v.expires_at <= p_now)
            or exists (select from router.responses as v where v.expires_at <= p_now)
        union all
        select 3, 'expire_reservations', r.tenant_id, t.name, null, null, count(*), null
        from router.reservations as r
        left join router.tenants as t on t.tenant_id = r.tenant_id
        where r.reserved_at <= p_now - interval '1 hour'
        group by r.tenant_id, t.name
        union all
        select 4, 'sweep', l.tenant_id, t.name, l.space_id, null, null, null
        from leaves as l
        left join router.tenants as t on t.tenant_id = l.tenant_id
        where not exists (
            select from counts as c
            where
                c.tenant_id = l.tenant_id and c.space_id = l.space_id
                and (c.tier = 1 or c.moved_at > now() - interval '1 minute')
        )
        union all
        select 5, 'shrink', c.tenant_id, c.name, c.space_id, null, c.memories, null
        from counts as c
        where c.tier = 1 and c.memories < p_graduate_at / 2
        union all
        select 6, 'graduate', c.tenant_id, c.name, c.space_id, null, c.memories, null
        from counts as c
        -- A space that is still being built would have its rows added to the index one by one.
        where c.tier = 0 and c.memories >= p_graduate_at and c.space_id is distinct from c.next_space_id
        union all
        select 7, 'reindex', c.tenant_id, c.name, c.space_id, null, c.memories, c.churn
        from leaves as l
        inner join counts as c on c.tenant_id = l.tenant_id and c.space_id = l.space_id and c.tier = 1
        where
            c.memories >= p_graduate_at / 2
            and (
                c.churn > 0.2 * c.memories
                -- Left by an interrupted build.
                or exists (select from pg_catalog.pg_index as x where x.indrelid = l.oid and not x.indisvalid)
            )
            and not exists (
                select from pg_catalog.pg_locks as k
                where k.relation = l.oid and k.mode = 'ShareUpdateExclusiveLock' and k.granted
            )
        union all
        -- A few at a time: other jobs that become due meanwhile come before the rest.
        (
            select 8, 'fit', d.tenant_id, t.name, null, null, max(d.memories), count(*)::int
            from router_internal._fits_due() as d
            inner join router.tenants as t on t.tenant_id = d.tenant_id
            group by d.tenant_id, t.name
            order by d.tenant_id
            limit 10
        )
    )
    select d.chore, d.tenant_id, d.tenant, d.space_id, d.day, d.amount, d.churn
    from due as d
    where not pg_is_in_recovery()
    order by d.turn, d.day, d.amount, d.tenant_id, d.space_id;
end;

comment on function router.chores is
'List the maintenance jobs that are due now, in order.
Jobs: open_day, drop_day, expire_conversations, expire_reservations, sweep, shrink, graduate, reindex and fit; each
is a function of that name (open_day: _open_day, fit: fit_due), except reindex, a statement for the owner. amount:
memories, decisions or reservations concerned; churn: memories replaced, of fit the policies. A tenant''s space graduates at p_graduate_at memories and shrinks
below half as many; an index is rebuilt when a fifth was replaced. Runs as its owner, to compare all tenants'' counts.';
