"""Another embedder: a tenant's memory moves to a new space while the old one serves."""

from __future__ import annotations

from migrations.install import execute, install

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


COLUMNS = """
alter table router.tenants
    add column space_id smallint constraint tenants_space_fkey references router.spaces,
    add column next_space_id smallint constraint tenants_next_space_fkey references router.spaces,
    add constraint tenants_next_space_check check (
        next_space_id is null or (space_id is not null and space_id <> next_space_id)
    );
comment on column router.tenants.space_id is 'The space that serves it; NULL: that of the proxy''s own embedder.';
comment on column router.tenants.next_space_id is 'The space its memory is being rewritten for; NULL: none.';
"""


def upgrade() -> None:
    execute(COLUMNS)
    install("authenticate", 1, to="router_app")
    install("spaces_of", 1, to="router_app, router_reader")
    install("build_space", 1)
    install("outdated", 1)
    install("prompts", 1)
    install("_trim", 1)
    install("reembed", 1)
    install("switch_space", 1)
    install("drop_space", 1)


def downgrade() -> None:
    execute("""
        drop function router.authenticate, router.build_space, router.outdated, router.reembed, router.switch_space,
            router.drop_space, router.spaces_of, router.prompts,
            router._trim;
        alter table router.tenants drop column space_id, drop column next_space_id;
    """)
