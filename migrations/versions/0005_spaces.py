"""Another embedder: a tenant's memory moves to a new space while the old one serves."""

from __future__ import annotations

from migrations.install import execute, install

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
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
    """)
