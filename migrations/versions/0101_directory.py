"""The directory: roles, tenants, keys, providers, models, policies, prices and readers."""

from __future__ import annotations

from migrations.install import drop, execute, install, isolate, width

revision = "0101"
down_revision = None
branch_labels = None
depends_on = None

APP = "router_app"
BOTH = "router_app, router_reader"

ROLES = """
do $$
declare
    v_role text;
begin
    foreach v_role in array array['router_app', 'router_reader'] loop
        if not exists (select from pg_roles where rolname = v_role) then
            begin
                execute format('create role %I nologin', v_role);
                -- Without this, a login that is no superuser could not use the role that it created.
                execute format('grant %I to current_user', v_role);
            exception
                when duplicate_object or unique_violation then null;  -- another database's migration created it
                when insufficient_privilege then
                    raise exception 'role % is missing and % may not create it', v_role, current_user
                        using hint = format('Ask an administrator for: create role %I nologin; grant %I to %I;',
                                            v_role, v_role, current_user);
            end;
        end if;
        if not pg_has_role(current_user, v_role, 'member') then
            begin
                execute format('grant %I to current_user', v_role);
            exception
                when insufficient_privilege then
                    raise warning 'an administrator has to run: grant % to %;', v_role, current_user;
            end;
        end if;
    end loop;
end
$$;
create schema router_internal;
grant usage on schema router, router_internal to router_app, router_reader;
comment on schema router_internal is 'Helpers of the functions of schema router, by names that begin with an underscore; not an interface.';
comment on schema router is 'pgrouter: the routing memory and its functions. Start with: select * from router.overview';
grant select on router.alembic_version to router_app, router_reader;
comment on table router.alembic_version is 'The schema revision this database is at, written by migrations.';
comment on column router.alembic_version.version_num is 'Name of the last migration that ran.';
"""

TABLES = """
create extension if not exists vector;

create type router.reason as enum (
    'learned', 'sticky', 'cheapest', 'fastest', 'weighted', 'default', 'off', 'cold', 'low_support', 'capability',
    'single_candidate', 'unpriced', 'no_signal', 'embedding_failed', 'memory_unavailable', 'fallback', 'explore'
);
comment on type router.reason is 'Why a model was chosen; sql/README.md explains each value.';
create type router.backend as enum ('knn', 'cheapest', 'fastest', 'weighted', 'none');
comment on type router.backend is 'How a policy ranks its candidates.';
create type router.granularity as enum ('conversation', 'step');
comment on type router.granularity is 'Which message is embedded: the first of the user (conversation) or the latest (step).';

create table router.providers (
    provider_id smallint generated always as identity constraint providers_pkey primary key,
    name text not null constraint providers_name_key unique constraint providers_name_check check (name <> ''),
    base_url text not null constraint providers_base_url_check check (base_url ~ '^https?://'),
    key_variable text,
    speaks text[] not null default '{chat,responses,completions,embeddings}'
        constraint providers_speaks_check check (
            cardinality(speaks) > 0 and speaks <@ '{chat,responses,messages,completions,embeddings}'
        ),
    key_header text not null default 'authorization'
        constraint providers_key_header_check check (key_header in ('authorization', 'x-api-key', 'api-key'))
);
comment on table router.providers is 'Endpoints with an OpenAI-compatible or Anthropic API that serve models.';
comment on column router.providers.provider_id is 'Number of the provider.';
comment on column router.providers.name is 'Unique name.';
comment on column router.providers.base_url is 'Base URL as the openai client takes it, without /chat/completions.';
comment on column router.providers.key_variable is 'Environment variable of the proxy that holds the provider''s key; NULL: no key is sent.';
comment on column router.providers.speaks is 'The APIs that it supports: chat (/chat/completions), responses, messages (Anthropic''s), completions, embeddings.';
comment on column router.providers.key_header is 'The header that carries the key: authorization (a bearer token), x-api-key (Anthropic), api-key (Azure).';

create table router.spaces (
    space_id smallint generated always as identity constraint spaces_pkey primary key,
    name text not null constraint spaces_name_key unique,
    dimensions int not null constraint spaces_dimensions_check check (dimensions between 1 and $WIDTH)
);
comment on table router.spaces is 'Embedding spaces: an embedding model with everything that changes its vectors. Vectors of different spaces are never compared.';
comment on column router.spaces.space_id is 'Number of the space.';
comment on column router.spaces.name is 'Name of the embedder and of everything that changes its vectors.';
comment on column router.spaces.dimensions is 'Dimensions of its vectors; padded with zeros to the column''s width, which leaves cosines unchanged.';

create table router.tenants (
    tenant_id int generated by default as identity constraint tenants_pkey primary key,
    name text not null constraint tenants_name_key unique
        constraint tenants_name_check check (name ~ '^[A-Za-z0-9][A-Za-z0-9 _.@-]{0,99}$'),
    memory_cap int not null default 5000 constraint tenants_memory_cap_check check (memory_cap > 0),
    store_prompts boolean not null default true,
    route_explicit boolean not null default false,
    shared boolean not null default false,
    base_id int constraint tenants_base_fkey references router.tenants on delete set null
        constraint tenants_base_check check (base_id <> tenant_id),
    default_provider smallint
        constraint tenants_default_provider_fkey references router.providers on delete set null,
    space_id smallint constraint tenants_space_fkey references router.spaces,
    next_space_id smallint constraint tenants_next_space_fkey references router.spaces,
    created_at timestamptz not null default now(),
    constraint tenants_next_space_check check (
        next_space_id is null or (space_id is not null and space_id <> next_space_id)
    )
);
comment on table router.tenants is 'Tenants; every memory, key, policy and decision belongs to one.';
comment on column router.tenants.tenant_id is 'Number of the tenant; leads the key of every table with rows of tenants.';
comment on column router.tenants.name is 'Unique name.';
comment on column router.tenants.memory_cap is 'Memories kept; the oldest beyond it are deleted in batches.';
comment on column router.tenants.store_prompts is 'False: only hashes and embeddings of prompts are stored, never their text.';
comment on column router.tenants.route_explicit is 'True: a request that names a candidate of policy `auto` is routed, with that model as its default.';
comment on column router.tenants.shared is 'True: other tenants may use its memory, which gives them estimates and never a row.';
comment on column router.tenants.base_id is 'The tenant whose shared memory it uses while its own is small; NULL: none.';
comment on column router.tenants.default_provider is 'Serves paths that name no model, such as files and audio; NULL: the provider of the default model of policy `auto`.';
comment on column router.tenants.space_id is 'The embedding space that serves it; NULL: the space of the proxy''s own embedder.';
comment on column router.tenants.next_space_id is 'The embedding space that its memory is being rewritten for; NULL: none.';
comment on column router.tenants.created_at is 'When the tenant was created.';

create table router.api_keys (
    key_id int generated always as identity constraint api_keys_pkey primary key,
    tenant_id int not null constraint api_keys_tenant_fkey references router.tenants on delete cascade,
    key_hash bytea not null constraint api_keys_key_hash_key unique
        constraint api_keys_key_hash_check check (octet_length(key_hash) = 32),
    hint text not null constraint api_keys_hint_check check (length(hint) <= 12),
    name text not null default '',
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    revoked_at timestamptz,
    allowed_models smallint[],
    scopes text[] constraint api_keys_scopes_check check (
        cardinality(scopes) > 0 and scopes <@ '{ask,teach,manage}' and array_position(scopes, null) is null
    )
);
create index api_keys_tenant on router.api_keys (tenant_id);
comment on table router.api_keys is 'API keys of tenants, as SHA-256 only; the key itself is shown once, at its creation.';
comment on column router.api_keys.key_id is 'Number of the key, as in the ledger.';
comment on column router.api_keys.tenant_id is 'The tenant it belongs to.';
comment on column router.api_keys.key_hash is 'SHA-256 of the whole key, 32 bytes.';
comment on column router.api_keys.hint is 'First characters of the key, to tell keys apart.';
comment on column router.api_keys.name is 'Its purpose.';
comment on column router.api_keys.created_at is 'When the key was created.';
comment on column router.api_keys.expires_at is 'From then on the key is refused; NULL: it never expires.';
comment on column router.api_keys.revoked_at is 'When the key was revoked; NULL: it is not revoked.';
comment on column router.api_keys.allowed_models is 'The models that may serve the key; NULL: all.';
comment on column router.api_keys.scopes is 'What the key may do: ask models, teach the memory, manage memory and account; NULL: all, without manage if it is for some models.';

create table router.models (
    model_id smallint generated always as identity constraint models_pkey primary key,
    name text not null constraint models_name_key unique
        constraint models_name_check check (name ~ '^[^[:cntrl:][:space:]]([^[:cntrl:]]{0,198}[^[:cntrl:][:space:]])?$'),
    provider_id smallint not null constraint models_provider_fkey references router.providers,
    upstream_name text not null constraint models_upstream_name_check check (upstream_name <> ''),
    input_price double precision constraint models_input_price_check check (input_price >= 0 and input_price < 'infinity'),
    cached_input_price double precision constraint models_cached_input_price_check check (cached_input_price >= 0 and cached_input_price < 'infinity'),
    output_price double precision constraint models_output_price_check check (output_price >= 0 and output_price < 'infinity'),
    priced_on date,
    context_window int constraint models_context_window_check check (context_window > 0),
    max_output int constraint models_max_output_check check (max_output > 0),
    tools boolean,
    parallel_tools boolean,
    vision boolean,
    audio boolean,
    json_schema boolean,
    reasoning boolean,
    enabled boolean not null default true
);
comment on table router.models is 'Models that requests may name and policies may choose from.';
comment on column router.models.model_id is 'Number of the model: its position in every label array, from 1. Never reused.';
comment on column router.models.name is 'The value of `model` in requests; unique.';
comment on column router.models.provider_id is 'The provider that serves it.';
comment on column router.models.upstream_name is 'The provider''s name for it.';
comment on column router.models.input_price is 'USD per million prompt tokens; NULL: unknown.';
comment on column router.models.cached_input_price is 'USD per million prompt tokens read from the provider''s cache; NULL: as input_price.';
comment on column router.models.output_price is 'USD per million completion tokens; NULL: unknown.';
comment on column router.models.priced_on is 'The date of the prices.';
comment on column router.models.context_window is 'Prompt plus completion tokens; NULL: unknown, assumed to be enough.';
comment on column router.models.max_output is 'Most completion tokens; NULL: unknown, assumed to be enough.';
comment on column router.models.tools is 'Supports tool calls; NULL: unknown, assumed to.';
comment on column router.models.parallel_tools is 'Supports several tool calls at once; NULL: unknown, assumed to.';
comment on column router.models.vision is 'Accepts images; NULL: unknown, assumed to.';
comment on column router.models.audio is 'Accepts and returns audio; NULL: unknown, assumed to.';
comment on column router.models.json_schema is 'Follows a JSON schema; NULL: unknown, assumed to.';
comment on column router.models.reasoning is 'Accepts a reasoning effort; NULL: unknown, assumed to.';
comment on column router.models.enabled is 'False: neither listed nor used; its labels stay.';

create table router.policies (
    policy_id int generated always as identity constraint policies_pkey primary key,
    tenant_id int not null constraint policies_tenant_fkey references router.tenants on delete cascade,
    name text not null constraint policies_name_check check (name ~ '^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,99}$'),
    backend router.backend not null default 'knn',
    default_model smallint not null constraint policies_default_model_fkey references router.models,
    granularity router.granularity not null default 'conversation',
    alpha double precision not null default 0.1 constraint policies_alpha_check check (alpha between 0 and 100),
    k int not null default 100 constraint policies_k_check check (k between 1 and 1000),
    tau double precision not null default 0.2 constraint policies_tau_check check (tau between 0.0001 and 'infinity'),
    n0 double precision not null default 2 constraint policies_n0_check check (n0 between 0 and 1000000),
    n0_task double precision not null default 10 constraint policies_n0_task_check check (n0_task between 0 and 1000000),
    n1 double precision not null default 5 constraint policies_n1_check check (n1 between 0 and 1000000),
    seed_count int not null default 100 constraint policies_seed_count_check check (seed_count >= 0),
    confidence_floor double precision not null default 0
        constraint policies_confidence_floor_check check (confidence_floor between 0 and 1),
    switch_penalty double precision not null default 0 constraint policies_switch_penalty_check check (switch_penalty between 0 and 100),
    sticky_seconds int not null default 86400 constraint policies_sticky_seconds_check check (sticky_seconds >= 0),
    explore_share double precision not null default 0 constraint policies_explore_share_check check (explore_share between 0 and 0.2),
    explore_labels int not null default 20 constraint policies_explore_labels_check check (explore_labels >= 0),
    base_weight double precision not null default 100 constraint policies_base_weight_check check (base_weight between 0 and 1000000),
    constraint policies_name_key unique (tenant_id, name),
    constraint policies_tenant_key unique (tenant_id, policy_id)
);
comment on table router.policies is 'Policies: names that requests may give as `model` to be routed, with the settings of their decisions.';
comment on column router.policies.policy_id is 'Number of the policy.';
comment on column router.policies.tenant_id is 'The tenant it belongs to.';
comment on column router.policies.name is 'The value of `model` in requests; `auto` is created with every tenant.';
comment on column router.policies.backend is 'How it ranks candidates: knn learns from the memory; the other backends need no labels.';
comment on column router.policies.default_model is 'Serves when a decision is declined.';
comment on column router.policies.granularity is 'Embed the user messages before the first answer (conversation), or the latest one (step).';
comment on column router.policies.alpha is 'Weight of cost: points of quality given up to save the cost of the dearest candidate for an average prompt; 0 ignores cost.';
comment on column router.policies.k is 'Neighbours used.';
comment on column router.policies.tau is 'Width of the kernel: a neighbour weighs exp((similarity - 1) / tau); infinity: all weigh 1.';
comment on column router.policies.n0 is 'Weight of the prior in an estimate, in neighbours.';
comment on column router.policies.n0_task is 'Weight of the prior if the request names a task with labels, in neighbours.';
comment on column router.policies.n1 is 'Weight of the tenant''s mean in a task''s prior, in labels.';
comment on column router.policies.seed_count is 'Memories needed before the memory decides; with fewer, decisions are declined as cold.';
comment on column router.policies.confidence_floor is 'Least share of the estimate that must come from neighbours; below it decisions are declined as low_support.';
comment on column router.policies.switch_penalty is 'Points of quality subtracted from candidates other than the conversation''s current model.';
comment on column router.policies.sticky_seconds is 'How long a conversation stays with its model; 0: it does not.';
comment on column router.policies.explore_share is 'Share of new requests that explore: they go to the candidate with the fewest labels, while it has fewer than explore_labels; 0: none.';
comment on column router.policies.explore_labels is 'Number of labels from which on a candidate is no longer explored.';
comment on column router.policies.base_weight is 'Weight of the shared memory of the tenant''s base: each of its neighbours counts base_weight / (base_weight + own memories); 0: the policy does not use it.';

create table router.policy_models (
    tenant_id int not null,
    policy_id int not null,
    model_id smallint not null constraint policy_models_model_fkey references router.models,
    weight real not null default 1 constraint policy_models_weight_check check (weight >= 0 and weight < 'infinity'),
    constraint policy_models_pkey primary key (tenant_id, policy_id, model_id),
    constraint policy_models_policy_fkey foreign key (tenant_id, policy_id)
        references router.policies (tenant_id, policy_id) on delete cascade
);
comment on table router.policy_models is 'The candidates of each policy.';
comment on column router.policy_models.tenant_id is 'The tenant of the policy.';
comment on column router.policy_models.policy_id is 'The policy.';
comment on column router.policy_models.model_id is 'A candidate.';
comment on column router.policy_models.weight is 'Share of the traffic under backend `weighted`, relative to the other candidates.';

create table router.tenant_prices (
    tenant_id int not null constraint tenant_prices_tenant_fkey references router.tenants on delete cascade,
    model_id smallint not null constraint tenant_prices_model_fkey references router.models,
    input_price double precision not null
        constraint tenant_prices_input_price_check check (input_price >= 0 and input_price < 'infinity'),
    cached_input_price double precision
        constraint tenant_prices_cached_input_price_check check (cached_input_price >= 0 and cached_input_price < 'infinity'),
    output_price double precision not null
        constraint tenant_prices_output_price_check check (output_price >= 0 and output_price < 'infinity'),
    priced_on date not null,
    constraint tenant_prices_pkey primary key (tenant_id, model_id)
);
comment on table router.tenant_prices is 'Prices that a tenant pays for a model in place of the model''s own; a row replaces all of the model''s prices.';
comment on column router.tenant_prices.tenant_id is 'The tenant that pays them.';
comment on column router.tenant_prices.model_id is 'The model.';
comment on column router.tenant_prices.input_price is 'USD per million prompt tokens.';
comment on column router.tenant_prices.cached_input_price is 'USD per million prompt tokens read from the provider''s cache; NULL: as input_price.';
comment on column router.tenant_prices.output_price is 'USD per million completion tokens, reasoning tokens included.';
comment on column router.tenant_prices.priced_on is 'The date of the prices.';

create type router.policy_settings as (
    granularity router.granularity, alpha double precision, k int, tau double precision, n0 double precision,
    n0_task double precision, n1 double precision, seed_count int, confidence_floor double precision,
    switch_penalty double precision, sticky_seconds int, explore_share double precision, explore_labels int,
    base_weight double precision
);
comment on type router.policy_settings is 'Settings of a policy as put_policy takes them; NULL: unchanged.';

create table router.reader_grants (
    role regrole not null,
    tenant_id int constraint reader_grants_tenant_fkey references router.tenants on delete cascade,
    granted_at timestamptz not null default now(),
    constraint reader_grants_key unique nulls not distinct (role, tenant_id)
);
comment on table router.reader_grants is 'The tenants that each reader may see. A member of router_reader without a row sees none.';
comment on column router.reader_grants.role is 'A login or a group, by its number: renaming a role keeps its grants, and another role with its old name has none.';
comment on column router.reader_grants.tenant_id is 'The tenant it may see; NULL: every tenant.';
comment on column router.reader_grants.granted_at is 'When it was granted.';
alter table router.reader_grants enable row level security;
alter table router.reader_grants force row level security;
create policy reader_grants_of_owner on router.reader_grants to current_user using (true);
create policy reader_grants_of_reader on router.reader_grants for select to router_reader
    using (pg_has_role(role, 'usage'));
grant select on router.reader_grants to router_reader;

grant select on router.spaces, router.tenants, router.providers, router.models, router.policies,
    router.policy_models, router.tenant_prices to router_app, router_reader;
-- Without key_hash, which readers do not need.
grant select (key_id, tenant_id, hint, name, created_at, expires_at, revoked_at, allowed_models, scopes) on router.api_keys to router_reader;
grant insert on router.spaces to router_app;
"""

ANNOUNCED = ("tenants", "api_keys", "providers", "models", "policies", "policy_models")


def upgrade() -> None:
    execute(ROLES)
    execute(TABLES.replace("$WIDTH", str(width())))
    install("_granted_tenants", 1, to="router_reader")
    isolate("tenants", "api_keys", "policies", "policy_models", "tenant_prices")
    install("_enter", 1, to=BOTH)
    install("_notify_change", 1)
    for table in ANNOUNCED:
        execute(f"""
            create trigger {table}_notify_change after insert or update or delete on router.{table}
                for each statement execute function router_internal._notify_change();
        """)
    install("revision", 1, to=BOTH)
    install("catalogue", 1, to=BOTH)
    install("candidates", 1, to=APP)
    install("list_providers", 1, to=APP)
    install("put_provider", 1)
    install("delete_provider", 1)
    install("list_models", 1)
    install("put_model", 1)
    install("fill_model", 1)
    install("create_tenant", 1)
    install("_prices", 1, to=BOTH)
    install("prices", 1, to=BOTH)
    install("put_price", 1)
    install("drop_price", 1)
    install("list_policies", 1)
    install("put_policy", 1)
    install("delete_policy", 1)
    install("_scopes", 1)
    install("_stored_scopes", 1)
    install("list_keys", 1)
    install("_model_ids", 1)
    install("create_key", 1)
    install("change_key", 1)
    install("revoke_key", 1)
    install("list_readers", 1)
    install("grant_tenant", 1)
    install("revoke_tenant", 1)


def downgrade() -> None:
    # The version table stays; alembic writes there that no revision is left.
    drop(
        "revoke_tenant", "grant_tenant", "list_readers", "revoke_key", "change_key", "create_key", "_model_ids",
        "list_keys", "_stored_scopes", "_scopes", "delete_policy", "put_policy", "list_policies", "drop_price", "put_price", "prices", "_prices",
        "create_tenant", "fill_model", "put_model", "list_models", "delete_provider", "put_provider", "list_providers",
        "candidates", "catalogue", "revision", "_enter",
    )  # fmt: skip
    execute("""
        alter table router.reader_grants drop constraint reader_grants_tenant_fkey;
        drop table router.tenant_prices, router.policy_models, router.policies, router.models, router.api_keys, router.tenants,
            router.spaces, router.providers;
    """)
    drop("_notify_change", "_granted_tenants")
    execute("""
        drop table router.reader_grants;
        drop type router.policy_settings, router.reason, router.backend, router.granularity;
        revoke all on router.alembic_version from router_app, router_reader;
        revoke all on schema router from router_app, router_reader;
        drop schema router_internal;
    """)
