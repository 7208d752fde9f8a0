"""Cheaper decisions: what a policy and its candidates are is read once, and several are asked for at once."""

from __future__ import annotations

from migrations.install import execute, install

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

BOTH = "router_app, router_reader"

TYPES = """
create type router.candidate as (
    model_id smallint, input_price double precision, cached_input_price double precision,
    output_price double precision, token_ratio double precision, ledger_tokens double precision,
    labels int, quality_sum double precision, completions int, completion_sum double precision,
    n0 double precision, prior double precision, mean_tokens double precision, prior_tokens double precision,
    lent router.base_sums
);
comment on type router.candidate is 'What is known of a model before neighbours: prices, its ledger, sums of its labels, and what is taken for granted.';

create type router.basis as (
    backend router.backend, granularity router.granularity, seed_count int, confidence_floor double precision,
    explore_share double precision, explore_labels int, k int, tau double precision,
    n0_task double precision, n1 double precision, alpha double precision, switch_penalty double precision,
    base_id int, base_weight double precision, memories int, tier smallint, mean_prompt double precision,
    candidates router.candidate[]
);
comment on type router.basis is 'What a decision starts from: a policy''s settings, the size of the memory, the candidates.';

create type router.estimate as (
    model_id smallint, quality double precision, labels bigint, confidence double precision,
    completion_tokens double precision, cost_usd double precision, score double precision,
    support double precision, prior double precision, n0 double precision, known int,
    prompt_tokens double precision, cached_tokens double precision,
    input_price double precision, cached_input_price double precision, output_price double precision,
    unit_usd double precision, alpha double precision, penalty double precision, base_support double precision
);
comment on type router.estimate is 'What is expected of a candidate for a prompt, and what that is made of, as estimates says.';

create type router.question as (
    tenant_id int, policy_id int, space_id smallint, embedding halfvec, task text, prompt_tokens int,
    default_model smallint, models smallint[], alpha double precision, conversation bytea, continues boolean,
    random double precision
);
comment on type router.question is 'The arguments of decide but the time, in its order, as decide_many takes them.';
"""


def upgrade() -> None:
    execute("drop function router.decide, router.estimates;")
    execute(TYPES)
    install("_basis", 1, to=BOTH)
    install("_nearest", 1, to=BOTH)
    install("_informed", 1, to=BOTH)
    install("_filled", 1, to=BOTH)
    install("_estimates", 1, to=BOTH)
    install("estimates", 2, to=BOTH)
    install("decide", 2, to=BOTH)
    install("decide_many", 1, to=BOTH)


def downgrade() -> None:
    execute("""
        drop function router.decide_many, router.decide, router.estimates, router._estimates, router._filled, router._informed, router._nearest, router._basis;
        drop type router.question, router.estimate, router.basis, router.candidate;
    """)
    install("estimates", 1, to=BOTH)
    install("decide", 1, to=BOTH)
