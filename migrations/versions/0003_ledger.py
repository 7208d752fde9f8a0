"""The ledger: what was decided, what it used, and where conversations stand."""

from __future__ import annotations

from migrations.install import execute, install, install_view, isolate

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

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
    -- With the tenant: a policy of another is as absent as one that never was.
    constraint conversations_policy_fkey foreign key (tenant_id, policy_id)
        references router.policies (tenant_id, policy_id) on delete cascade
);
create index conversations_expires on router.conversations (expires_at);
comment on table router.conversations is 'The model each conversation is with, so that it survives replicas and restarts.';
comment on column router.conversations.tenant_id is 'Whose conversation it is.';
comment on column router.conversations.policy_id is 'The policy that routed it.';
comment on column router.conversations.conversation is 'Hash of X-Router-Conversation, or of everything before the first answer, with the task.';
comment on column router.conversations.model_id is 'The model that served it last.';
comment on column router.conversations.prompt_tokens is 'Prompt tokens of its last turn: what the provider may have cached; NULL: unknown.';
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
comment on table router.speeds is 'What the ledger teaches about each model: how soon it answers, how long, and what its tokens are to ours.';
comment on column router.speeds.tenant_id is 'Measured on whose requests.';
comment on column router.speeds.model_id is 'The model.';
comment on column router.speeds.first_token_ms is 'Time to first token, milliseconds, for backend `fastest`: a moving average in which each batch of the ledger weighs 0.2; NULL: none yet.';
comment on column router.speeds.samples is 'Requests that went into first_token_ms.';
comment on column router.speeds.completion_tokens is 'Completion tokens as reported, those of reasoning too: the mean of 100 requests, then a moving average of about as many; NULL: none yet.';
comment on column router.speeds.completions is 'Requests that went into completion_tokens.';
comment on column router.speeds.token_ratio is 'Prompt tokens as reported divided by those estimated, a moving average of about 20 requests that begins at 1; NULL: none yet, taken as 1.';
comment on column router.speeds.updated_at is 'When the last went in.';

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
    constraint decisions_pkey primary key (decision_id, decided_at)
) partition by range (decided_at);
create index decisions_recent on router.decisions (tenant_id, decided_at desc);
comment on table router.decisions is 'The ledger: one row a served request, by day. Never a prompt, never an answer.';
comment on column router.decisions.tenant_id is 'Whose request.';
comment on column router.decisions.decision_id is 'UUIDv7, as in x-router-decision.';
comment on column router.decisions.decided_at is 'The time within decision_id: it finds the partition.';
comment on column router.decisions.key_id is 'The key used.';
comment on column router.decisions.policy_id is 'The policy; NULL: none was asked for.';
comment on column router.decisions.requested is 'What the request said in `model`.';
comment on column router.decisions.task is 'What the request said in X-Router-Task.';
comment on column router.decisions.reason is 'Why model_id was chosen.';
comment on column router.decisions.model_id is 'The model that served.';
comment on column router.decisions.confidence is 'Share of the winner''s estimate that came from neighbours, 0 to 1.';
comment on column router.decisions.candidates is 'The ranking, best first; NULL: nothing was ranked.';
comment on column router.decisions.quality is 'Estimated quality of each, 0 to 1.';
comment on column router.decisions.cost_usd is 'Expected USD of each.';
comment on column router.decisions.score is 'Of each: quality - alpha cost_usd / unit_usd - penalty.';
comment on column router.decisions.prior is 'Quality that each was taken to have before its neighbours were asked.';
comment on column router.decisions.confidences is 'Share of each one''s quality that came from neighbours, the rest from prior.';
comment on column router.decisions.prompt_estimate is 'Prompt tokens that each was expected to count.';
comment on column router.decisions.completion_estimate is 'Completion tokens expected of each.';
comment on column router.decisions.input_price is 'USD per million prompt tokens of each, as of then.';
comment on column router.decisions.output_price is 'USD per million completion tokens of each, as of then.';
comment on column router.decisions.cached_estimate is 'Those of prompt_estimate expected in the provider''s cache; NULL: none.';
comment on column router.decisions.cached_price is 'USD per million of those; NULL: there were none.';
comment on column router.decisions.penalty is 'What each lost for not being the conversation''s model; NULL: nothing.';
comment on column router.decisions.alpha is 'Price of cost in quality, as of then.';
comment on column router.decisions.unit_usd is 'What the dearest candidate cost for the tenant''s average prompt.';
comment on column router.decisions.attempts is 'Upstream calls made for it.';
comment on column router.decisions.status is 'HTTP status the client got; 499: it went away first.';
comment on column router.decisions.streamed is 'Answered as server-sent events.';
comment on column router.decisions.prompt_tokens is 'As the provider reported; NULL: it did not.';
comment on column router.decisions.cached_tokens is 'Those of them read from the provider''s cache; NULL: not reported.';
comment on column router.decisions.completion_tokens is 'As the provider reported; NULL: it did not.';
comment on column router.decisions.reasoning_tokens is 'Those of the completion that were thought and not said; NULL: not reported.';
comment on column router.decisions.estimated_tokens is 'What the prompt was taken for before it was sent; NULL: nobody counted.';
comment on column router.decisions.spent_usd is 'Cost at the tenant''s prices of the day; NULL: tokens or prices unknown.';
comment on column router.decisions.default_usd is 'The same tokens at the prices of the policy''s default model.';
comment on column router.decisions.overhead_ms is 'Time in pgrouter before the request went upstream.';
comment on column router.decisions.first_token_ms is 'From sending upstream to the first byte of the answer.';
comment on column router.decisions.duration_ms is 'From the request''s arrival to the last byte out.';

create type router.decision_entry as (
    tenant_id int, decision_id uuid, key_id int, policy_id int, requested text, task text, reason router.reason,
    model_id smallint, confidence real, candidates smallint[], quality real[], cost_usd real[], score real[],
    prior real[], confidences real[], prompt_estimate real[], completion_estimate real[], input_price real[],
    output_price real[], cached_estimate real[], cached_price real[], penalty real[], alpha double precision,
    unit_usd double precision,
    attempts smallint, status smallint, streamed boolean, prompt_tokens int, cached_tokens int, completion_tokens int,
    overhead_ms real, first_token_ms real, duration_ms real, conversation bytea, reasoning_tokens int,
    estimated_tokens int
);
comment on type router.decision_entry is 'One served request, as log_decisions takes it.';

grant select on router.conversations, router.speeds, router.decisions to router_app, router_reader;
grant insert, update on router.conversations, router.speeds to router_app;
grant insert on router.decisions to router_app;
"""


def upgrade() -> None:
    execute(TABLES)
    isolate("conversations", "speeds", "decisions")
    install("_open_day", 1, to="router_app")
    install("_price", 1, to="router_app")
    install("_measure", 1, to="router_app")
    install("log_decisions", 1, to="router_app")
    install("_plus", 1, to=BOTH)
    install("_prior", 1, to=BOTH)
    install("_blend", 1, to=BOTH)
    install("estimates", 1, to=BOTH)
    install("decide", 1, to=BOTH)
    install("evidence", 1, to=BOTH)
    install("_why", 1, to=BOTH)
    install("explain", 1, to=BOTH)
    install("decision", 1, to=BOTH)
    install("tenancies", 1)
    install("delete_tenant", 1)
    install_view("overview", 1, to="router_reader")
    install_view("recent_decisions", 1, to="router_reader")


def downgrade() -> None:
    execute("""
        drop view router.overview, router.recent_decisions;
        drop function router.delete_tenant, router.tenancies, router.decision, router.explain, router._why, router.evidence, router.decide, router.estimates, router._blend, router._prior, router._plus, router.log_decisions, router._measure, router._price, router._open_day;
        drop table router.decisions, router.speeds, router.conversations;
        drop type router.decision_entry;
    """)
