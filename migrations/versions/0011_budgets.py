"""Budgets and rate limits: what is left of them, what is reserved by requests under way, and what was used."""

from __future__ import annotations

from migrations.install import execute, install, install_view, isolate, restore

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

APP = "router_app"
BOTH = "router_app, router_reader"

TABLES = """
alter table router.limits
    add column limit_id int generated always as identity constraint limits_pkey primary key,
    -- One look finds a key's limits and its tenant's, where a NULL is equal to nothing. A column: row level security
    -- keeps an expression like this from being looked up in an index.
    add column scope int generated always as (coalesce(key_id, 0)) stored;
comment on column router.limits.limit_id is 'Names the limit to its meter.';
comment on column router.limits.scope is 'key_id, and 0 for all keys together.';
create index limits_scope on router.limits (tenant_id, scope);

-- Every request changes these rows and no index: with room on the page they stay where they are.
create table router.meters (
    limit_id int constraint meters_pkey primary key constraint meters_limit_fkey references router.limits on delete cascade,
    tenant_id int not null constraint meters_tenant_fkey references router.tenants on delete cascade,
    requests_left double precision,
    tokens_left double precision,
    refilled_at timestamptz not null,
    day date not null,
    day_usd numeric(24, 12) not null,
    month_usd numeric(24, 12) not null,
    reserved_usd numeric(24, 12) not null
) with (fillfactor = 25);
comment on table router.meters is 'How far each limit is used; the view budgets shows it as of now.';
comment on column router.meters.limit_id is 'The limit.';
comment on column router.meters.tenant_id is 'Whose it is.';
comment on column router.meters.requests_left is 'Requests in the bucket at refilled_at; NULL: it is full, or there is no limit.';
comment on column router.meters.tokens_left is 'Tokens in the bucket at refilled_at, below zero where requests took more than they reserved; NULL: it is full, or there is no limit.';
comment on column router.meters.refilled_at is 'When the buckets were last filled up; a minute fills them.';
comment on column router.meters.day is 'The day (UTC) that day_usd is of, in the month that month_usd is of.';
comment on column router.meters.day_usd is 'USD spent that day by requests that have ended.';
comment on column router.meters.month_usd is 'USD spent that month by requests that have ended.';
comment on column router.meters.reserved_usd is 'The sum of reservations.usd of these requests.';

-- No foreign keys: each check would lock the tenant's row, which all of its requests share.
create table router.reservations (
    tenant_id int not null,
    decision_id uuid not null,
    key_id int,
    usd numeric(24, 12) not null,
    tokens int not null,
    reserved_at timestamptz not null,
    constraint reservations_pkey primary key (tenant_id, decision_id)
);
comment on table router.reservations is 'What requests under way may cost; the ledger ends them, or an hour.';
comment on column router.reservations.tenant_id is 'Whose request.';
comment on column router.reservations.decision_id is 'The request.';
comment on column router.reservations.key_id is 'The key used.';
comment on column router.reservations.usd is 'Expected USD, of the dearest candidate that the budgets left.';
comment on column router.reservations.tokens is 'Expected tokens, prompt and completion.';
comment on column router.reservations.reserved_at is 'When it was admitted.';

create type router.standing as (
    limit_id int, key_id int, requests_limit int, tokens_limit int, requests_left double precision,
    tokens_left double precision, day date, day_budget numeric, day_spent numeric, month_budget numeric,
    month_spent numeric, reserved numeric
);
comment on type router.standing is 'A limit with what is left of it at a moment, as _standing gives it.';

grant select, update on router.meters to router_app;
grant select, insert, delete on router.reservations to router_app;
grant select on router.meters, router.reservations to router_reader;
"""

# Limits that revision 0010 was given get their meters as new ones do.
METERS = """
create trigger limits_meter after insert on router.limits for each row execute function router._open_meter();
do $$
declare
    v_limit router.limits;
begin
    for v_limit in select * from router.limits loop
        perform router._enter(v_limit.tenant_id);
        delete from router.limits where limit_id = v_limit.limit_id;
        insert into router.limits (tenant_id, key_id, requests_per_minute, tokens_per_minute, day_usd, month_usd)
        values (
            v_limit.tenant_id, v_limit.key_id, v_limit.requests_per_minute, v_limit.tokens_per_minute, v_limit.day_usd,
            v_limit.month_usd
        );
    end loop;
end;
$$;
"""


def upgrade() -> None:
    execute(TABLES)
    isolate("meters", "reservations")
    install("_refilled", 1, to=BOTH)
    install("_standing", 1, to=APP)
    install("_open_meter", 1)
    execute(METERS)
    install("admit", 1, to=APP)
    install("_settle", 1, to=APP)
    install("expire_reservations", 1, to=APP)
    install("put_limits", 1)
    install_view("budgets", 1, to="router_reader")
    install("limits_of", 1)
    install("usage", 1, to=BOTH)
    execute("drop function router.chores, router.delete_tenant;")
    install("chores", 2, to=APP)
    install("delete_tenant", 2)


def downgrade() -> None:
    execute("""
        drop function router.chores, router.delete_tenant, router.usage, router.limits_of, router.put_limits,
            router.expire_reservations, router._settle, router.admit;
        drop view router.budgets;
        drop trigger limits_meter on router.limits;
        drop function router._open_meter, router._standing, router._refilled;
        drop type router.standing;
        drop table router.meters, router.reservations;
        drop index router.limits_scope;
        alter table router.limits drop column limit_id, drop column scope;
    """)
    restore("chores", 1, to=APP)
    restore("delete_tenant", 1)
