"""The ledger knows who was asked before somebody answered, which API it was, and settles what was reserved."""

from __future__ import annotations

from migrations.install import execute, install, restore

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

APP = "router_app"
BOTH = "router_app, router_reader"

TABLES = """
alter table router.decisions
    add column api text,
    add column tried smallint[],
    add column tried_why text[],
    add column tried_outcome text[],
    add column tried_ms real[],
    add column usage_estimated boolean not null default false;
comment on column router.decisions.api is 'The API it came by: chat, responses, messages, completions, embeddings; NULL: chat, as all were once.';
comment on column router.decisions.tried is 'The models that were asked or passed over, in order; NULL: model_id was asked once, and status says what came of it.';
comment on column router.decisions.tried_why is 'Why each: chosen, fallback, retry, hedge.';
comment on column router.decisions.tried_outcome is 'What came of each: an HTTP status, timeout, unreachable, open (passed over, as it failed too often), over_budget, cancelled.';
comment on column router.decisions.tried_ms is 'How long each took to begin its answer, or to fail.';
comment on column router.decisions.usage_estimated is 'Whether tokens are estimated from what was sent and said, as the provider reported none.';

alter type router.decision_entry add attribute api text;
alter type router.decision_entry add attribute tried smallint[];
alter type router.decision_entry add attribute tried_why text[];
alter type router.decision_entry add attribute tried_outcome text[];
alter type router.decision_entry add attribute tried_ms real[];
alter type router.decision_entry add attribute usage_estimated boolean;
alter type router.decision_entry add attribute response bytea;
"""


def upgrade() -> None:
    execute(TABLES)
    execute("drop function router.log_decisions, router._measure, router.decision;")
    install("_measure", 2, to=APP)
    install("log_decisions", 2, to=APP)
    install("decision", 2, to=BOTH)


def downgrade() -> None:
    execute("""
        drop function router.log_decisions, router._measure, router.decision;
        alter type router.decision_entry drop attribute api, drop attribute tried, drop attribute tried_why,
            drop attribute tried_outcome, drop attribute tried_ms, drop attribute usage_estimated, drop attribute response;
        alter table router.decisions drop column api, drop column tried, drop column tried_why, drop column tried_outcome,
            drop column tried_ms, drop column usage_estimated;
    """)
    restore("_measure", 1, to=APP)
    restore("log_decisions", 1, to=APP)
    restore("decision", 1, to=BOTH)
