"""The decision: ranks candidates by the memory; backtests and calibrations of policies."""

from __future__ import annotations

from migrations.install import drop, execute, install, isolate

revision = "0104"
down_revision = "0103"
branch_labels = None
depends_on = None

APP = "router_app"
BOTH = "router_app, router_reader"

TYPES = """
create type router.base_sums as (
    model_id smallint, labels bigint, support double precision, quality_sum double precision,
    token_support double precision, token_sum double precision, mean_quality double precision, mean_tokens double precision
);
comment on type router.base_sums is 'What a shared memory holds about a model for one prompt: sums over its neighbours, and its means.';

create type router.candidate as (
    model_id smallint, input_price double precision, cached_input_price double precision,
    output_price double precision, token_ratio double precision, ledger_tokens double precision,
    labels int, quality_sum double precision, paired int, paired_sum double precision,
    task_labels int, task_sum double precision, completions int, completion_sum double precision, able boolean,
    mean_tokens double precision, prior_tokens double precision,
    lent router.base_sums
);
comment on type router.candidate is 'What is known of a model before its neighbours: prices, token counts, label sums and prior.';

create type router.context as (
    backend router.backend, granularity router.granularity, seed_count int, confidence_floor double precision,
    explore_share double precision, explore_labels int, k int, tau double precision,
    n0_task double precision, n1 double precision, alpha double precision, switch_penalty double precision,
    base_id int, base_weight double precision, memories int, tier smallint, mean_prompt double precision,
    token_n0 double precision, n0 double precision, n2 double precision, ease double precision,
    borrows double precision, guesses boolean, fitted smallint[], transfer double precision[],
    candidates router.candidate[]
);
comment on type router.context is 'What a decision starts from: settings of the policy, size of the memory, candidates.';

create type router.estimate as (
    model_id smallint, quality double precision, labels bigint, confidence double precision,
    completion_tokens double precision, cost_usd double precision, score double precision,
    support double precision, prior double precision, n0 double precision, known int,
    prompt_tokens double precision, cached_tokens double precision,
    input_price double precision, cached_input_price double precision, output_price double precision,
    unit_usd double precision, alpha double precision, penalty double precision, base_support double precision,
    mean double precision, ease double precision, borrowed double precision, share double precision
);
comment on type router.estimate is 'What is expected of a candidate for a prompt, and its parts, as estimates returns it.';

create type router.question as (
    tenant_id int, policy_id int, space_id smallint, embedding halfvec, task text, prompt_tokens int,
    default_model smallint, models smallint[], alpha double precision, conversation bytea, continues boolean,
    random double precision
);
comment on type router.question is 'The arguments of decide except the time, in its order, as decide_many takes them.';

create type router_internal.neighbour as (similarity double precision, task_id smallint, quality real[], completion_tokens real[]);
comment on type router_internal.neighbour is 'A neighbour of a prompt, as in neighbours.';

create type router_internal.guess as (share double precision, quality double precision);
comment on type router_internal.guess is 'What the labels of the neighbours'' tasks say of a model: the share of the prior that they decide, and their part of it.';

create type router_internal.rule as (
    n0 double precision, n0_task double precision, n1 double precision, n2 double precision,
    ease_support double precision, share double precision, fit_n0 boolean, guess_task router.task_guess
);
comment on type router_internal.rule is 'Settings of a policy that turn sums over neighbours into an estimate.';

create type router_internal.fit as (n0 double precision, guess boolean, lambda double precision, transfer double precision[]);
comment on type router_internal.fit is 'What leave-one-out chooses for a policy, as in the table fits.';

create type router_internal.evidence as (row_number int, evidence double precision[], residual double precision[]);
comment on type router_internal.evidence is 'A trial by model: what the neighbours'' labels say, and the memory''s labels less the prior.';

create type router_internal.trial as (
    setting int, row_number int, model int, quality double precision, completion_tokens double precision, labels int,
    support double precision, weighted double precision, token_support double precision,
    token_weighted double precision, mean double precision, guessed double precision, prior double precision,
    token_prior double precision, tasked boolean,
    mean_tokens double precision, prompt_tokens double precision, mean_prompt double precision
);
comment on type router_internal.trial is 'Parts of a candidate''s estimate for a memory''s prompt without that memory, and its real outcome.';
"""

CALIBRATIONS = """
create table router.calibrations (
    tenant_id int not null constraint calibrations_tenant_fkey references router.tenants on delete cascade,
    policy_id int not null,
    calibrated_at timestamptz not null,
    target double precision constraint calibrations_target_check check (target > 0),
    confidence double precision not null constraint calibrations_confidence_check check (confidence > 0 and confidence < 1),
    space_id smallint not null constraint calibrations_space_fkey references router.spaces,
    old_settings router.policy_settings not null,
    new_settings router.policy_settings not null,
    tuned boolean not null,
    trials int not null,
    memories int not null,
    default_model smallint not null constraint calibrations_default_model_fkey references router.models,
    quality double precision not null,
    quality_low double precision not null,
    default_quality double precision not null,
    quality_ratio double precision not null,
    quality_ratio_low double precision not null,
    cost_usd double precision not null,
    default_usd double precision not null,
    cost_ratio double precision,
    models smallint[] not null,
    shares double precision[] not null,
    at_most double precision constraint calibrations_at_most_check check (at_most > 0 and at_most < 1),
    margin double precision constraint calibrations_margin_check check (margin >= 0 and margin < 1),
    worse_share double precision constraint calibrations_worse_share_check check (worse_share between 0 and 1),
    constraint calibrations_kind_check
        check (num_nonnulls(target, at_most) = 1 and num_nonnulls(at_most, margin, worse_share) in (0, 3)),
    constraint calibrations_pkey primary key (tenant_id, policy_id, calibrated_at),
    constraint calibrations_policy_fkey foreign key (tenant_id, policy_id)
        references router.policies (tenant_id, policy_id) on delete cascade
);
comment on table router.calibrations is 'Settings that calibrate chose for a policy, and the results that it expected.';
comment on column router.calibrations.tenant_id is 'The tenant of the policy.';
comment on column router.calibrations.policy_id is 'The policy.';
comment on column router.calibrations.calibrated_at is 'When it was calibrated.';
comment on column router.calibrations.target is 'Share of the default model''s quality to keep; NULL: a certificate, which has at_most.';
comment on column router.calibrations.confidence is 'Probability with which the target or at_most is kept.';
comment on column router.calibrations.space_id is 'The embedding space of the memories used.';
comment on column router.calibrations.old_settings is 'The settings before: alpha, k, tau, n0, n0_task; the others are NULL.';
comment on column router.calibrations.new_settings is 'The settings that it wrote.';
comment on column router.calibrations.tuned is 'Whether it chose k, tau, n0 and n0_task as well, because they were clearly better.';
comment on column router.calibrations.trials is 'Memories that were decided for as if the memory did not hold them; of a certificate, those tested.';
comment on column router.calibrations.memories is 'Memories in the space at that time.';
comment on column router.calibrations.default_model is 'The policy''s default model at that time.';
comment on column router.calibrations.quality is 'Expected mean quality, 0 to 1.';
comment on column router.calibrations.quality_low is 'Its lower bound (two-sided, at the confidence).';
comment on column router.calibrations.default_quality is 'Mean quality of the default model.';
comment on column router.calibrations.quality_ratio is 'quality / default_quality.';
comment on column router.calibrations.quality_ratio_low is 'The bound that quality_ratio exceeds at the confidence.';
comment on column router.calibrations.cost_usd is 'Expected mean cost of a request, USD.';
comment on column router.calibrations.default_usd is 'The same with the default model alone.';
comment on column router.calibrations.cost_ratio is 'cost_usd / default_usd; NULL: the default model costs nothing.';
comment on column router.calibrations.models is 'The candidates.';
comment on column router.calibrations.shares is 'Expected share of requests of each candidate.';
comment on column router.calibrations.at_most is 'Largest share of requests served worse than by the default model, above 0 and below 1; NULL: a target.';
comment on column router.calibrations.margin is 'A request is worse if its quality is lower by more than this, 0 to 1.';
comment on column router.calibrations.worse_share is 'Share of the tested memories that were worse.';
grant select on router.calibrations to router_app, router_reader;
grant insert, delete on router.calibrations to router_app;
"""

FITS = """
create table router.fits (
    tenant_id int not null constraint fits_tenant_fkey references router.tenants on delete cascade,
    policy_id int not null,
    space_id smallint not null constraint fits_space_fkey references router.spaces,
    fitted_at timestamptz not null,
    memories int not null,
    rows int not null,
    pairs int not null,
    models smallint[] not null,
    k int not null,
    tau double precision not null,
    n0 double precision not null,
    guess boolean not null,
    lambda double precision,
    transfer double precision[],
    labels int[] not null default '{}',
    settings text not null default '',
    constraint fits_pkey primary key (policy_id, space_id),
    constraint fits_transfer_check check (cardinality(transfer) = cardinality(models) * cardinality(models)),
    constraint fits_policy_fkey foreign key (tenant_id, policy_id)
        references router.policies (tenant_id, policy_id) on delete cascade
);
comment on table router.fits is 'What leave-one-out chose for the estimates of a policy from the memory of one space; the function fit writes it.';
comment on column router.fits.tenant_id is 'The tenant of the policy.';
comment on column router.fits.policy_id is 'The policy.';
comment on column router.fits.space_id is 'The embedding space.';
comment on column router.fits.fitted_at is 'When it was fitted.';
comment on column router.fits.memories is 'Memories in the space at that time; with less than half or more than twice as many, decisions do not use the fit.';
comment on column router.fits.rows is 'Memories that were estimated without themselves.';
comment on column router.fits.pairs is 'Those of them that label two candidates or more.';
comment on column router.fits.models is 'The candidates, by number.';
comment on column router.fits.k is 'Neighbours used; decisions with another k do not use the fit.';
comment on column router.fits.tau is 'Width of the kernel; decisions with another tau do not use the fit.';
comment on column router.fits.n0 is 'Weight of the prior, in neighbours.';
comment on column router.fits.guess is 'Whether the task of a request without a tag is guessed.';
comment on column router.fits.labels is 'Labels of each of models at that time; once one of them has twice as many, the policy is fitted again.';
comment on column router.fits.settings is 'Settings of the policy that it depends on, beside k and tau.';
comment on column router.fits.lambda is 'Ridge of the matrix, in mean squares of the evidence; NULL: there is no matrix.';
comment on column router.fits.transfer is 'Matrix in rows: what the evidence of the model of the row adds to the estimate of the model of the column; NULL: too few memories compare models.';
grant select on router.fits to router_app, router_reader;
grant insert, update, delete on router.fits to router_app;
"""


def upgrade() -> None:
    execute(TYPES)
    execute(CALIBRATIONS)
    execute(FITS)
    isolate("calibrations", "fits")
    install("_add_known", 1, to=BOTH)
    install("_prior", 1, to=BOTH)
    install("_mean", 1, to=BOTH)
    install("_blend", 1, to=BOTH)
    install("_scan", 1, to=BOTH)
    install("_search", 1, to=BOTH)
    install("neighbours", 1, to=BOTH)
    install("_base_sums", 1, to=BOTH)
    install("_context", 1, to=BOTH)
    install("_nearest", 1, to=BOTH)
    install("_with_task_and_base", 1, to=BOTH)
    install("_guessed_tasks", 1, to=BOTH)
    install("_borrowed", 1, to=BOTH)
    install("_estimated", 1, to=BOTH)
    install("_estimates", 1, to=BOTH)
    install("_conversation", 1, to=BOTH)
    install("_sort_keys", 1, to=BOTH)
    install("estimates", 1, to=BOTH)
    install("decide", 1, to=BOTH)
    install("decide_many", 1, to=BOTH)
    install("_influence", 1, to=BOTH)
    install("evidence", 1, to=BOTH)
    install("explain", 1, to=BOTH)
    install("_candidates", 1, to=BOTH)
    install("_alphas", 1, to=BOTH)
    install("_rule", 1, to=BOTH)
    install("_with_weights", 1, to=BOTH)
    install("_setup", 1, to=BOTH)
    install("_trial", 1, to=BOTH)
    install("_trials", 1, to=BOTH)
    install("_expected", 1, to=BOTH)
    install("_inverse", 1, to=BOTH)
    install("_fit_transfer", 1, to=BOTH)
    install("_fit", 1, to=BOTH)
    install("_cross_fits", 1, to=BOTH)
    install("_outcomes", 1, to=BOTH)
    install("_choices", 1, to=BOTH)
    install("_static_blend", 1, to=BOTH)
    install("_curve", 1, to=BOTH)
    install("backtest", 1, to=BOTH)
    install("_antitonic_fit", 1, to=APP)
    install("_utility", 1, to=APP)
    install("_best_settings", 1, to=APP)
    install("_fit_settings", 1, to=APP)
    install("_write_fit", 1, to=APP)
    install("fit", 1, to=APP)
    install("_check_goal", 1, to=APP)
    install("_binomial_cdf", 1, to=APP)
    install("_binomial_bound", 1, to=APP)
    install("_fixed_sequence", 1, to=APP)
    install("_certified_alpha", 1, to=APP)
    install("_copied_rows", 1, to=APP)
    install("_set_calibrated", 1, to=APP)
    install("calibrate", 1, to=APP)
    install("_certificate", 1, to=BOTH)
    install("list_fits", 1, to=BOTH)
    install("_ledger_summary", 1, to=BOTH)
    install("_verdict", 1, to=BOTH)
    install("savings", 1, to=BOTH)
    install("list_policy_changes", 1, to=BOTH)


def downgrade() -> None:
    drop(
        "list_policy_changes", "savings", "_verdict", "_ledger_summary", "_certificate", "list_fits", "calibrate", "_set_calibrated",
        "_copied_rows", "_certified_alpha", "_fixed_sequence", "_binomial_bound", "_binomial_cdf", "_check_goal", "fit", "_write_fit", "_fit_settings",
        "_best_settings", "_utility", "_antitonic_fit",
        "backtest", "_curve", "_static_blend", "_choices", "_outcomes", "_cross_fits", "_fit", "_fit_transfer", "_inverse", "_expected", "_trials", "_trial", "_setup", "_with_weights", "_rule", "_alphas",
        "_candidates", "explain", "evidence", "_influence", "decide_many", "decide", "estimates", "_sort_keys", "_conversation", "_estimates", "_estimated", "_borrowed", "_guessed_tasks",
        "_with_task_and_base", "_nearest", "_context", "_base_sums", "neighbours", "_search", "_scan", "_blend",
        "_mean", "_prior", "_add_known",
    )  # fmt: skip
    execute("""
        drop table router.calibrations, router.fits;
        drop type router_internal.trial, router_internal.evidence, router_internal.fit, router_internal.rule,
            router_internal.guess, router_internal.neighbour, router.question, router.estimate, router.context, router.candidate,
            router.base_sums;
    """)
