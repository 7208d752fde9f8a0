"""What a gateway has to know: what providers speak and keep, what models can do, what a key may use and how much."""

from __future__ import annotations

from migrations.install import execute, install, isolate, restore

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

APP = "router_app"
BOTH = "router_app, router_reader"

TABLES = """
alter table router.providers
    add column speaks text[] not null default '{chat,responses,completions,embeddings}'
        constraint providers_speaks_check check (
            cardinality(speaks) > 0 and speaks <@ '{chat,responses,messages,completions,embeddings}'
        ),
    add column key_header text not null default 'authorization'
        constraint providers_key_header_check check (key_header in ('authorization', 'x-api-key', 'api-key'));
comment on column router.providers.speaks is 'The APIs it answers: chat (/chat/completions), responses, messages (Anthropic''s), completions, embeddings.';
comment on column router.providers.key_header is 'The header that carries its key: authorization (as a bearer token), x-api-key (Anthropic), api-key (Azure).';

alter table router.models
    add column parallel_tools boolean,
    add column audio boolean,
    add column reasoning boolean,
    add column max_output int constraint models_max_output_check check (max_output > 0);
comment on column router.models.parallel_tools is 'Calls several tools at once; NULL: unknown, taken as yes.';
comment on column router.models.audio is 'Hears and speaks; NULL: unknown, taken as yes.';
comment on column router.models.reasoning is 'Takes an effort of reasoning; NULL: unknown, taken as yes.';
comment on column router.models.max_output is 'Completion tokens at most; NULL: unknown, taken as enough.';

alter table router.tenants
    add column default_provider smallint
        constraint tenants_default_provider_fkey references router.providers on delete set null;
comment on column router.tenants.default_provider is 'Serves the paths that name no model of pgrouter, files and audio among them; NULL: who serves the default model of policy auto.';

alter table router.api_keys add column allowed_models smallint[];
comment on column router.api_keys.allowed_models is 'The models that the key may be served by; NULL: all.';
grant select (allowed_models) on router.api_keys to router_reader;

create table router.limits (
    tenant_id int not null constraint limits_tenant_fkey references router.tenants on delete cascade,
    key_id int constraint limits_key_fkey references router.api_keys on delete cascade,
    requests_per_minute int constraint limits_requests_per_minute_check check (requests_per_minute > 0),
    tokens_per_minute int constraint limits_tokens_per_minute_check check (tokens_per_minute > 0),
    day_usd double precision constraint limits_day_usd_check check (day_usd >= 0 and day_usd < 'infinity'),
    month_usd double precision constraint limits_month_usd_check check (month_usd >= 0 and month_usd < 'infinity'),
    constraint limits_key unique nulls not distinct (tenant_id, key_id)
);
comment on table router.limits is 'What a tenant, or one of its keys, may use; a tenant or key without a row is not limited.';
comment on column router.limits.tenant_id is 'Who is limited.';
comment on column router.limits.key_id is 'The key; NULL: all of the tenant''s keys together.';
comment on column router.limits.requests_per_minute is 'Requests a minute, and at once; NULL: no limit.';
comment on column router.limits.tokens_per_minute is 'Tokens a minute, prompt and completion, and at once; NULL: no limit.';
comment on column router.limits.day_usd is 'USD a day (UTC); NULL: no limit.';
comment on column router.limits.month_usd is 'USD a month (UTC); NULL: no limit.';
grant select on router.limits to router_app, router_reader;
create trigger limits_announce after insert or update or delete on router.limits
    for each statement execute function router._announce();

create table router.responses (
    tenant_id int not null constraint responses_tenant_fkey references router.tenants on delete cascade,
    response bytea not null constraint responses_response_check check (octet_length(response) = 16),
    model_id smallint not null constraint responses_model_fkey references router.models,
    expires_at timestamptz not null,
    constraint responses_pkey primary key (tenant_id, response)
);
create index responses_expires on router.responses (expires_at);
comment on table router.responses is 'Who gave the answers that providers keep, so that what goes on from one finds the way.';
comment on column router.responses.tenant_id is 'Whose answer it is.';
comment on column router.responses.response is 'Hash of the answer''s id.';
comment on column router.responses.model_id is 'The model that gave it; its provider keeps it.';
comment on column router.responses.expires_at is 'From then on nobody keeps it.';
grant select on router.responses to router_app, router_reader;
grant insert on router.responses to router_app;
"""


def upgrade() -> None:
    execute(TABLES)
    isolate("limits", "responses")
    # As for conversations: the upkeep, as the owner, removes what has expired, of all tenants, and nothing else.
    execute("""
        create policy responses_expired_of_owner on router.responses for delete to current_user using (expires_at <= now());
        drop function router.authenticate, router.catalogue, router.put_provider, router.put_model, router.inventory, router.upstreams,
            router.expire_conversations;
    """)
    install("holder", 1, to=APP)
    install("expire_conversations", 2, to=APP)
    install("authenticate", 2, to=APP)
    install("catalogue", 2, to=BOTH)
    install("put_provider", 2)
    install("put_model", 2)
    install("inventory", 2)
    install("upstreams", 2, to=APP)


def downgrade() -> None:
    execute("""
        drop function router.authenticate, router.catalogue, router.put_provider, router.put_model, router.inventory, router.upstreams,
            router.expire_conversations, router.holder;
    """)
    execute("""
        drop table router.responses, router.limits;
        alter table router.api_keys drop column allowed_models;
        alter table router.tenants drop column default_provider;
        alter table router.models drop column parallel_tools, drop column audio, drop column reasoning, drop column max_output;
        alter table router.providers drop column speaks, drop column key_header;
    """)
    restore("authenticate", 1, to=APP)
    restore("catalogue", 1, to=BOTH)
    restore("put_provider", 1)
    restore("put_model", 1)
    restore("inventory", 1)
    restore("upstreams", 1)
    restore("expire_conversations", 1, to=APP)
