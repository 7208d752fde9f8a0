"""The memory: what tenants taught, tiered and counted, and how it moves to another embedding space."""

from __future__ import annotations

from migrations.install import drop, execute, install, install_view, isolate, width

revision = "0102"
down_revision = "0101"
branch_labels = None
depends_on = None

APP = "router_app"
BOTH = "router_app, router_reader"

# An exact scan reads every memory of a small tenant. A covering index halves its time, because in the table they lie among
# those of all tenants. Longer vectors with their labels do not fit into an index entry.
COVERED = 768
COVERING = "include (task_id, quality, completion_tokens, embedding)"

TABLES = """
create table router.tasks (
    tenant_id int not null constraint tasks_tenant_fkey references router.tenants on delete cascade,
    task_id smallint not null constraint tasks_task_id_check check (task_id > 0),
    name text not null constraint tasks_name_check check (length(name) between 1 and 100),
    constraint tasks_pkey primary key (tenant_id, task_id),
    constraint tasks_name_key unique (tenant_id, name)
);
comment on table router.tasks is 'Task tags of a tenant''s examples.';
comment on column router.tasks.tenant_id is 'The tenant that uses the tag.';
comment on column router.tasks.task_id is 'Number of the tag within the tenant.';
comment on column router.tasks.name is 'The tag, as in the header X-Router-Task.';

create table router.memories (
    tenant_id int not null constraint memories_tenant_fkey references router.tenants on delete cascade,
    memory_id bigint not null,
    created_at timestamptz not null,
    tier smallint not null default 0,
    space_id smallint not null constraint memories_space_fkey references router.spaces,
    task_id smallint,
    prompt_tokens int not null constraint memories_prompt_tokens_check check (prompt_tokens >= 0),
    quality real[] not null
        constraint memories_quality_check check (0 <= all (quality) and 1 >= all (quality))
        -- An index entry of a btree holds at most 2,704 bytes.
        constraint memories_labels_check check (cardinality(array_remove(quality, null)) <= 64),
    completion_tokens real[] not null
        constraint memories_completion_tokens_check check (0 <= all (completion_tokens) and 'infinity' > all (completion_tokens))
        constraint memories_answers_check check (cardinality(array_remove(completion_tokens, null)) <= 64),
    embedding halfvec($WIDTH) not null constraint memories_embedding_check check (l2_norm(embedding) > 0)
) partition by list (tier);
alter table router.memories alter column embedding set storage plain;
comment on table router.memories is 'The routing memory: an embedding with labels by model for each prompt taught. Only what a search needs; texts are in memory_texts.';
comment on column router.memories.tenant_id is 'The tenant it belongs to.';
comment on column router.memories.memory_id is 'Number of the memory, unique over all tenants.';
comment on column router.memories.created_at is 'When it was last taught; the oldest are evicted first.';
comment on column router.memories.tier is 'Partition key, as in memory_counts: 0 exact scan, 1 a partition of its own.';
comment on column router.memories.space_id is 'The embedding''s space.';
comment on column router.memories.task_id is 'Task tag; NULL: none.';
comment on column router.memories.prompt_tokens is 'Tokens of the prompt, estimated if no tokenizer is known.';
comment on column router.memories.quality is 'Quality 0 to 1 by model_id; NULL: unknown.';
comment on column router.memories.completion_tokens is 'Tokens of the answer by model_id; NULL: unknown.';
comment on column router.memories.embedding is 'Unit vector, padded with zeros to the column''s width; stored in the row, not in a TOAST table.';

create table router.memories_small partition of router.memories (
    constraint memories_small_pkey primary key (memory_id)
) for values in (0) with (autovacuum_vacuum_insert_scale_factor = 0.02);
create index memories_small_scan on router.memories_small (tenant_id, space_id, created_at, memory_id) $COVERING;
comment on table router.memories_small is 'Memories of tenants with up to about 6,000: a btree and exact scans, never a vector index.';
comment on index router.memories_small_scan is 'Memories of a tenant side by side, oldest first; covers all columns that an exact scan reads, if they fit.';

create table router.memories_large partition of router.memories for values in (1) partition by list (tenant_id);
comment on table router.memories_large is 'Memories of graduated tenants: a partition for each, and below it one per space with its own HNSW index, never a btree on the tenant.';

create sequence router.memory_ids owned by router.memories.memory_id;
comment on sequence router.memory_ids is 'Numbers of memories.';

create table router.memory_texts (
    tenant_id int not null constraint memory_texts_tenant_fkey references router.tenants on delete cascade,
    memory_id bigint not null,
    space_id smallint not null constraint memory_texts_space_fkey references router.spaces,
    prompt_hash bytea not null constraint memory_texts_prompt_hash_check check (octet_length(prompt_hash) = 32),
    source text not null constraint memory_texts_source_check check (source in ('human', 'judge', 'import', 'feedback')),
    prompt text,
    key_id int,
    first_taught_at timestamptz not null,
    constraint memory_texts_pkey primary key (tenant_id, memory_id),
    constraint memory_texts_prompt_key unique (tenant_id, space_id, prompt_hash, source)
);
comment on table router.memory_texts is 'Source and hash of each memory, and its prompt if the tenant stores prompts.';
comment on column router.memory_texts.tenant_id is 'The tenant it belongs to.';
comment on column router.memory_texts.memory_id is 'The memory.';
comment on column router.memory_texts.space_id is 'Its embedding''s space.';
comment on column router.memory_texts.prompt_hash is 'SHA-256 of the prompt; teaching a prompt again overwrites the memory from the same source.';
comment on column router.memory_texts.source is 'Source of the labels: human, judge, import or feedback.';
comment on column router.memory_texts.prompt is 'The prompt; NULL: the tenant stores none.';
comment on column router.memory_texts.key_id is 'The key that taught it last; NULL: the command line.';
comment on column router.memory_texts.first_taught_at is 'When it was first taught.';

create table router.memory_counts (
    tenant_id int not null constraint memory_counts_tenant_fkey references router.tenants on delete cascade,
    space_id smallint not null constraint memory_counts_space_fkey references router.spaces,
    tier smallint not null default 0 constraint memory_counts_tier_check check (tier in (0, 1)),
    memories int not null constraint memory_counts_memories_check check (memories >= 0),
    prompt_tokens bigint not null,
    churn int not null default 0,
    moved_at timestamptz,
    constraint memory_counts_pkey primary key (tenant_id, space_id)
) with (fillfactor = 50);
comment on table router.memory_counts is 'Number of memories per tenant and space, kept by triggers.';
comment on column router.memory_counts.tenant_id is 'The tenant.';
comment on column router.memory_counts.space_id is 'The space.';
comment on column router.memory_counts.tier is '0: in memories_small, by exact scan. 1: graduated, in a partition of its own with an HNSW index.';
comment on column router.memory_counts.memories is 'Number of memories.';
comment on column router.memory_counts.prompt_tokens is 'Sum of their prompt tokens.';
comment on column router.memory_counts.churn is 'Graduated memories overwritten or deleted since their HNSW index was built.';
comment on column router.memory_counts.moved_at is 'When they last changed tier; NULL: never.';

create table router.priors (
    tenant_id int not null constraint priors_tenant_fkey references router.tenants on delete cascade,
    space_id smallint not null constraint priors_space_fkey references router.spaces,
    task_id smallint not null,
    model_id smallint not null constraint priors_model_fkey references router.models,
    labels int not null,
    quality_sum double precision not null,
    paired int not null,
    paired_sum double precision not null,
    completions int not null,
    completion_sum double precision not null,
    constraint priors_pkey primary key (tenant_id, space_id, task_id, model_id)
) with (fillfactor = 50);
comment on table router.priors is 'Sums of labels per task and model, kept by triggers: the prior of an estimate.';
comment on column router.priors.tenant_id is 'The tenant.';
comment on column router.priors.space_id is 'The space.';
comment on column router.priors.task_id is 'The task; 0: all memories, tagged or not.';
comment on column router.priors.model_id is 'The model.';
comment on column router.priors.labels is 'Number of quality labels.';
comment on column router.priors.quality_sum is 'Sum of the quality labels.';
comment on column router.priors.paired is 'Number of the quality labels whose memory labels two models or more: they compare models, a single label does not.';
comment on column router.priors.paired_sum is 'Sum of those labels.';
comment on column router.priors.completions is 'Number of known answer lengths.';
comment on column router.priors.completion_sum is 'Sum of the known answer lengths, tokens.';

create type router.example as (
    prompt_hash bytea,
    prompt text,
    source text,
    task text,
    prompt_tokens int,
    quality real[],
    completion_tokens real[],
    embedding halfvec
);
comment on type router.example is 'An example to teach, as record takes it.';

grant select on router.tasks, router.memories, router.memories_small, router.memories_large, router.memory_texts, router.memory_counts, router.priors
    to router_app, router_reader;
grant insert on router.tasks to router_app;
grant insert, update, delete on router.memories, router.memory_texts to router_app;
grant insert, update on router.memory_counts, router.priors to router_app;
grant usage on sequence router.memory_ids to router_app;
"""


def upgrade() -> None:
    covering = COVERING if width() <= COVERED else ""
    execute(TABLES.replace("$WIDTH", str(width())).replace("$COVERING", covering))
    isolate("tasks", "memories", "memories_small", "memories_large", "memory_texts", "memory_counts", "priors")
    install("_count_memories", 1, to=APP)
    execute("""
        create trigger memories_count_inserted after insert on router.memories
            referencing new table as changed for each statement execute function router_internal._count_memories('1');
        create trigger memories_count_deleted after delete on router.memories
            referencing old table as changed for each statement execute function router_internal._count_memories('-1');
        create trigger memories_count_new after update on router.memories
            referencing new table as changed for each statement execute function router_internal._count_memories('1');
        create trigger memories_count_old after update on router.memories
            referencing old table as changed for each statement execute function router_internal._count_memories('-1');
    """)
    install("embedding_width", 1, to=BOTH)
    install("register_space", 1, to=APP)
    install("spaces_of", 1, to=BOTH)
    install("_add_tasks", 1, to=APP)
    install("_lock_memory", 1, to=APP)
    install("_evict", 1, to=APP)
    install("_check_examples", 1, to=APP)
    install("record", 1, to=APP)
    install("room", 1, to=APP)
    install("stage", 1, to=APP)
    install("record_staged", 1, to=APP)
    install("forget", 1, to=APP)
    install("_labels", 1, to=BOTH)
    install("recall", 1, to=BOTH)
    install("samples", 1, to=BOTH)
    install("_memory_sample", 1, to=BOTH)
    install("memory_nodes", 1, to=BOTH)
    install("_edges", 1, to=BOTH)
    install("memory_edges", 1, to=BOTH)
    install("export", 1, to=BOTH)
    install("change_tenant", 1)
    install("build_space", 1)
    install("outdated", 1)
    install("prompts", 1)
    install("_trim_copies", 1)
    install("reembed", 1)
    install("switch_space", 1)
    install("drop_space", 1)
    install_view("memory", 1, to="router_reader")


def downgrade() -> None:
    execute("drop view router.memory;")
    drop(
        "drop_space", "switch_space", "reembed", "_trim_copies", "prompts", "outdated", "build_space",
        "change_tenant", "export", "memory_edges", "_edges", "memory_nodes", "_memory_sample",
        "samples", "recall", "_labels", "forget", "record_staged", "stage", "room", "record", "_check_examples",
        "_evict",
        "_lock_memory", "_add_tasks", "spaces_of", "register_space", "embedding_width",
    )  # fmt: skip
    execute("""
        drop table router.priors, router.memory_counts, router.memory_texts, router.memories, router.tasks;
        drop type router.example;
    """)
    drop("_count_memories")
