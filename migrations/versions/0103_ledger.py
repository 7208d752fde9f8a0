"""The ledger: decisions, conversations, stored responses and speeds; limits with their meters and reservations."""

from __future__ import annotations

from migrations.install import drop, execute, install, install_view, isolate

revision = "0103"
down_revision = "0102"
branch_labels = None
depends_on = None

APP = "router_app"
BOTH = "router_app, router_reader"

TABLES = """
create table router.conversations (
    tenant_id int not null constraint conversations_tenant_fkey references router.tenants on delete cascade,
    policy_id int not null,
    conversation bytea not null constraint conversations_conversation_check check (octet_length(conversation) = 16),
    model_id smallint not null constraint conversations_model_fkey references router.models,
    prompt_tokens int,
    updated_at timestamptz not null,
    expires_at timestamptz not null,
    constraint conversations_pkey primary key (tenant_id, policy_id, conversation),
    -- With the tenant, so that another tenant's policy is refused like one that does not exist.
    constraint conversations_policy_fkey foreign key (tenant_id, policy_id)
        references router.policies (tenant_id, policy_id) on delete cascade
);
create index conversations_expires on router.conversations (expires_at);
comment on table router.conversations is 'The model of each conversation, shared by all proxies and kept over restarts.';
comment on column router.conversations.tenant_id is 'The tenant it belongs to.';
comment on column router.conversations.policy_id is 'The policy that routes it.';
comment on column router.conversations.conversation is 'Hash of X-Router-Conversation, or of everything before the first answer, with the task.';
comment on column router.conversations.model_id is 'The model that served it last.';
comment on column router.conversations.prompt_tokens is 'Prompt tokens of its last turn, which the provider may have cached; NULL: unknown.';
comment on column router.conversations.updated_at is 'When it was last served.';
comment on column router.conversations.expires_at is 'From then on it is decided anew.';

create table router.speeds (
    tenant_id int not null constraint speeds_tenant_fkey references router.tenants on delete cascade,
    model_id smallint not null constraint speeds_model_fkey references router.models,
    first_token_ms double precision,
    samples int not null,
    completion_tokens double precision,
    completions int not null default 0,
    token_ratio double precision,
    updated_at timestamptz not null,
    constraint speeds_pkey primary key (tenant_id, model_id)
) with (fillfactor = 50);
comment on table router.speeds is 'What the ledger shows of each model: time to first token, answer length, and its token counts beside our estimates.';
comment on column router.speeds.tenant_id is 'The tenant whose requests were measured.';
comment on column router.speeds.model_id is 'The model.';
comment on column router.speeds.first_token_ms is 'Time to first token, milliseconds, for backend `fastest`: a moving average in which each batch of the ledger weighs 0.2; NULL: unknown.';
comment on column router.speeds.samples is 'Requests counted in first_token_ms.';
comment on column router.speeds.completion_tokens is 'Completion tokens as reported, reasoning included: the mean of 100 requests, then a moving average of about as many; NULL: unknown.';
comment on column router.speeds.completions is 'Requests counted in completion_tokens.';
comment on column router.speeds.token_ratio is 'Prompt tokens as reported divided by those estimated, a moving average of about 20 requests that begins at 1; NULL: unknown, taken as 1.';
comment on column router.speeds.updated_at is 'When it was last updated.';

create table router.decisions (
    tenant_id int not null,
    decision_id uuid not null,
    decided_at timestamptz not null,
    key_id int,
    policy_id int,
    requested text not null,
    task text,
    reason router.reason not null,
    model_id smallint not null,
    confidence real,
    candidates smallint[],
    quality real[],
    cost_usd real[],
    score real[],
    prior real[],
    confidences real[],
    prompt_estimate real[],
    completion_estimate real[],
    input_price real[],
    output_price real[],
    cached_estimate real[],
    cached_price real[],
    penalty real[],
    alpha double precision,
    unit_usd double precision,
    attempts smallint not null,
    status smallint not null,
    streamed boolean not null,
    prompt_tokens int,
    cached_tokens int,
    completion_tokens int,
    reasoning_tokens int,
    estimated_tokens int,
    spent_usd double precision,
    default_usd double precision,
    overhead_ms real not null,
    first_token_ms real,
    duration_ms real not null,
    api text,
    tried smallint[],
    tried_why text[],
    tried_outcome text[],
    tried_ms real[],
    usage_estimated boolean not null default false,
    usage_unexplained text,
    constraint decisions_pkey primary key (decision_id, decided_at)
) partition by range (decided_at);
create index decisions_recent on router.decisions (tenant_id, decided_at desc);
comment on table router.decisions is 'The ledger: one row per request served, partitioned by day. It never holds a prompt or an answer.';
comment on column router.decisions.tenant_id is 'The tenant that sent the request.';
comment on column router.decisions.decision_id is 'UUIDv7, as in x-router-decision.';
comment on column router.decisions.decided_at is 'The time within decision_id; the partition key.';
comment on column router.decisions.key_id is 'The API key used.';
comment on column router.decisions.policy_id is 'The policy; NULL: the request named a model.';
comment on column router.decisions.requested is 'The value of `model` in the request.';
comment on column router.decisions.task is 'The value of X-Router-Task in the request.';
comment on column router.decisions.reason is 'Why model_id was chosen.';
comment on column router.decisions.model_id is 'The model that served.';
comment on column router.decisions.confidence is 'Share of the first candidate''s estimate that came from neighbours, 0 to 1.';
comment on column router.decisions.candidates is 'The ranking, best first; NULL: no ranking was made.';
comment on column router.decisions.quality is 'Estimated quality of each, 0 to 1.';
comment on column router.decisions.cost_usd is 'Expected USD of each.';
comment on column router.decisions.score is 'Of each: quality - alpha cost_usd / unit_usd - penalty.';
comment on column router.decisions.prior is 'Quality expected of each before its neighbours count.';
comment on column router.decisions.confidences is 'Share of each one''s quality that came from neighbours; the rest came from prior.';
comment on column router.decisions.prompt_estimate is 'Prompt tokens expected of each, as it counts them.';
comment on column router.decisions.completion_estimate is 'Completion tokens expected of each.';
comment on column router.decisions.input_price is 'USD per million prompt tokens of each, at that time.';
comment on column router.decisions.output_price is 'USD per million completion tokens of each, at that time.';
comment on column router.decisions.cached_estimate is 'Tokens of prompt_estimate expected in the provider''s cache; NULL: none.';
comment on column router.decisions.cached_price is 'USD per million of the cached tokens; NULL: there were none.';
comment on column router.decisions.penalty is 'Points subtracted from each for not being the conversation''s model; NULL: none.';
comment on column router.decisions.alpha is 'Weight of cost, at that time.';
comment on column router.decisions.unit_usd is 'Cost of the dearest candidate for the tenant''s average prompt.';
comment on column router.decisions.attempts is 'Calls to providers made for it.';
comment on column router.decisions.status is 'HTTP status sent to the client; 499: the client disconnected first.';
comment on column router.decisions.streamed is 'Whether it was answered as server-sent events.';
comment on column router.decisions.prompt_tokens is 'As the provider reported; NULL: not reported.';
comment on column router.decisions.cached_tokens is 'Prompt tokens read from the provider''s cache; NULL: not reported.';
comment on column router.decisions.completion_tokens is 'As the provider reported; NULL: not reported.';
comment on column router.decisions.reasoning_tokens is 'Completion tokens used for reasoning; NULL: not reported.';
comment on column router.decisions.estimated_tokens is 'Prompt tokens estimated before the request was sent; NULL: not estimated.';
comment on column router.decisions.spent_usd is 'Cost at the tenant''s prices of that day; NULL: tokens or prices unknown.';
comment on column router.decisions.default_usd is 'Cost of the same tokens at the prices of the policy''s default model.';
comment on column router.decisions.overhead_ms is 'Time in pgrouter before the request was sent to a provider.';
comment on column router.decisions.first_token_ms is 'Time from sending to the first token of the answer.';
comment on column router.decisions.duration_ms is 'Time from the request''s arrival to the last byte sent.';
comment on column router.decisions.api is 'API of the request: chat, responses, messages, completions, embeddings; NULL: chat.';
comment on column router.decisions.tried is 'The models that were called or skipped, in order; NULL: model_id was called once, with the result in status.';
comment on column router.decisions.tried_why is 'Why each was called or skipped: chosen, fallback, retry, hedge.';
comment on column router.decisions.tried_outcome is 'The outcome of each: an HTTP status, timeout, unreachable, invalid (no answer of its API), cut (after its beginning), open (skipped, because it failed too often), over_budget, cancelled.';
comment on column router.decisions.tried_ms is 'Time until each began its answer or failed.';
comment on column router.decisions.usage_estimated is 'True: the provider reported no usage, or not all of it, and the token counts are estimates.';
comment on column router.decisions.usage_unexplained is 'Why the provider''s usage fits no known convention: shape (unknown names), invalid (a count is no whole number), partial (a count is missing), total (the counts do not add up to it), zero (nothing was counted). The token counts are then the dearer reading. NULL: it fits, or there is none.';

create type router.decision_entry as (
    tenant_id int, decision_id uuid, key_id int, policy_id int, requested text, task text, reason router.reason,
    model_id smallint, confidence real, candidates smallint[], quality real[], cost_usd real[], score real[],
    prior real[], confidences real[], prompt_estimate real[], completion_estimate real[], input_price real[],
    output_price real[], cached_estimate real[], cached_price real[], penalty real[], alpha double precision,
    unit_usd double precision,
    attempts smallint, status smallint, streamed boolean, prompt_tokens int, cached_tokens int, completion_tokens int,
    overhead_ms real, first_token_ms real, duration_ms real, conversation bytea, reasoning_tokens int,
    estimated_tokens int, api text, tried smallint[], tried_why text[], tried_outcome text[], tried_ms real[],
    usage_estimated boolean, response bytea, usage_unexplained text
);
comment on type router.decision_entry is 'A served request, as log_decisions takes it.';

grant select on router.conversations, router.speeds, router.decisions to router_app, router_reader;
grant insert, update on router.conversations, router.speeds to router_app;
grant insert on router.decisions to router_app;

create table router.responses (
    tenant_id int not null constraint responses_tenant_fkey references router.tenants on delete cascade,
    response bytea not null constraint responses_response_check check (octet_length(response) = 16),
    model_id smallint constraint responses_model_fkey references router.models,
    expires_at timestamptz not null,
    constraint responses_pkey primary key (tenant_id, response)
);
create index responses_expires on router.responses (expires_at);
create index responses_response on router.responses (response);
comment on table router.responses is 'The model of each response and conversation that its provider stores, so that a request that continues it is sent there, and never for another tenant.';
comment on column router.responses.tenant_id is 'The tenant it belongs to.';
comment on column router.responses.response is 'Hash of the id of the response or conversation.';
comment on column router.responses.model_id is 'The model that gave it; its provider stores it. NULL: the default provider stores it.';
comment on column router.responses.expires_at is 'From then on no provider stores it.';
grant select on router.responses to router_app, router_reader;
grant insert, update on router.responses to router_app;
"""

LIMITS = """
create table router.limits (
    limit_id int generated always as identity constraint limits_pkey primary key,
    tenant_id int not null constraint limits_tenant_fkey references router.tenants on delete cascade,
    key_id int constraint limits_key_fkey references router.api_keys on delete cascade,
    requests_per_minute int constraint limits_requests_per_minute_check check (requests_per_minute > 0),
    tokens_per_minute int constraint limits_tokens_per_minute_check check (tokens_per_minute > 0),
    day_usd double precision constraint limits_day_usd_check check (day_usd >= 0 and day_usd < 'infinity'),
    month_usd double precision constraint limits_month_usd_check check (month_usd >= 0 and month_usd < 'infinity'),
    -- An index lookup by scope finds a key's limits and its tenant's, whose key_id is NULL. It is a column, because row
    -- level security keeps an index on such an expression from being used.
    scope int generated always as (coalesce(key_id, 0)) stored,
    constraint limits_key unique nulls not distinct (tenant_id, key_id)
);
create index limits_scope on router.limits (tenant_id, scope);
comment on table router.limits is 'Limits of tenants and of their keys. Without a row there is no limit.';
comment on column router.limits.limit_id is 'Number of the limit, as in meters.';
comment on column router.limits.tenant_id is 'The tenant.';
comment on column router.limits.key_id is 'The key; NULL: all keys of the tenant together.';
comment on column router.limits.requests_per_minute is 'Requests a minute, and in one burst; NULL: no limit.';
comment on column router.limits.tokens_per_minute is 'Tokens a minute, prompt and completion, and in one burst; NULL: no limit.';
comment on column router.limits.day_usd is 'USD a day (UTC); NULL: no limit.';
comment on column router.limits.month_usd is 'USD a month (UTC); NULL: no limit.';
comment on column router.limits.scope is 'key_id, or 0 for all keys together.';
grant select on router.limits to router_app, router_reader;

-- Every request updates these rows but no index: with free space on the page, updates stay on it (HOT).
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
comment on table router.meters is 'Use of each limit as of refilled_at; the view budgets shows it as of now.';
comment on column router.meters.limit_id is 'The limit.';
comment on column router.meters.tenant_id is 'The tenant of the limit.';
comment on column router.meters.requests_left is 'Requests in the bucket at refilled_at; NULL: it is full, or there is no limit.';
comment on column router.meters.tokens_left is 'Tokens in the bucket at refilled_at, below zero if requests used more than they reserved; NULL: it is full, or there is no limit.';
comment on column router.meters.refilled_at is 'When the buckets were last refilled; a full minute fills them.';
comment on column router.meters.day is 'The day (UTC) of day_usd, in the month of month_usd.';
comment on column router.meters.day_usd is 'USD spent that day by requests that have ended.';
comment on column router.meters.month_usd is 'USD spent that month by requests that have ended.';
comment on column router.meters.reserved_usd is 'Sum of reservations.usd of its requests.';

-- No foreign keys: each check would lock the tenant's row, and all of its requests share that row.
create table router.reservations (
    tenant_id int not null,
    decision_id uuid not null,
    key_id int,
    usd numeric(24, 12) not null,
    tokens int not null,
    reserved_at timestamptz not null,
    constraint reservations_pkey primary key (tenant_id, decision_id)
);
comment on table router.reservations is 'Expected cost and tokens of requests under way; the ledger ends a reservation, or an hour.';
comment on column router.reservations.tenant_id is 'The tenant that sent the request.';
comment on column router.reservations.decision_id is 'The request.';
comment on column router.reservations.key_id is 'The API key used.';
comment on column router.reservations.usd is 'Expected USD of the dearest candidate that the budgets allow.';
comment on column router.reservations.tokens is 'Expected tokens, prompt and completion.';
comment on column router.reservations.reserved_at is 'When it was admitted.';

create type router_internal.meter_now as (
    limit_id int, key_id int, requests_limit int, tokens_limit int, requests_left double precision,
    tokens_left double precision, day date, day_budget numeric, day_spent numeric, month_budget numeric,
    month_spent numeric, reserved numeric
);
comment on type router_internal.meter_now is 'A limit with what is left of it at a moment, as _meters_now returns it.';

create type router_internal.request_usage as (
    tenant_id int, decision_id uuid, key_id int, usd double precision, tokens int
);
comment on type router_internal.request_usage is 'USD and tokens of a request, as log_decisions hands them to _settle; NULL: as reserved.';

grant select, update on router.meters to router_app;
grant select, insert, delete on router.reservations to router_app;
grant select on router.meters, router.reservations to router_reader;
"""


def upgrade() -> None:
    execute(TABLES)
    isolate("conversations", "speeds", "decisions", "responses")
    execute(LIMITS)
    isolate("limits", "meters", "reservations")
    install("_open_day", 1, to=APP)
    install("_cost", 1, to=APP)
    install("_update_speeds", 1, to=APP)
    install("_bucket_level", 1, to=BOTH)
    install("_lock_limits", 1, to=APP)
    install("_meters_now", 1, to=APP)
    install("_open_meter", 1)
    install("_refusal", 1, to=APP)
    install("admit", 1, to=APP)
    install("_settle", 1, to=APP)
    install("log_decisions", 1, to=APP)
    install("_explanation", 1, to=BOTH)
    install("decision", 1, to=BOTH)
    install("list_decisions", 1, to=BOTH)
    install("reasons", 1, to=BOTH)
    install("holder", 1, to=APP)
    install("is_foreign", 1, to=APP)
    install("keep_response", 1, to=APP)
    install("put_limits", 1)
    install("usage", 1, to=BOTH)
    install("usages", 1)
    install("authenticate", 1, to=APP)
    install("rotate_key", 1)
    install("list_tenants", 1)
    install("delete_tenant", 1)
    install("status", 1, to=BOTH)
    execute("""
        create trigger limits_notify_change after insert or update or delete on router.limits
            for each statement execute function router_internal._notify_change();
        create trigger limits_meter after insert on router.limits
            for each row execute function router_internal._open_meter();
    """)
    install_view("budgets", 1, to="router_reader")
    install("list_limits", 1)
    install_view("overview", 1, to="router_reader")
    install_view("recent_decisions", 1, to="router_reader")


def downgrade() -> None:
    drop("list_limits")
    execute("""
        drop view router.overview, router.recent_decisions, router.budgets;
        drop trigger limits_meter on router.limits;
    """)
    drop(
        "status", "delete_tenant", "list_tenants", "rotate_key", "authenticate", "usages", "usage", "put_limits",
        "keep_response", "is_foreign", "holder", "reasons", "list_decisions", "decision", "_explanation", "log_decisions",
        "_settle", "admit", "_refusal", "_open_meter", "_meters_now", "_lock_limits", "_bucket_level", "_update_speeds",
        "_cost", "_open_day",
    )  # fmt: skip
    execute("""
        drop type router_internal.meter_now, router_internal.request_usage, router.decision_entry;
        drop table router.meters, router.reservations, router.limits, router.responses, router.decisions, router.speeds,
            router.conversations;
    """)
