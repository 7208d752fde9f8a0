"""Upkeep: tenants that outgrow the exact scan, days of the ledger, conversations that ended."""

from __future__ import annotations

from migrations.install import execute, install

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

APP = "router_app"

# The upkeep runs as the owner and looks across tenants; of conversations it also removes what has expired.
OWNER = """
create policy conversations_expired_of_owner on router.conversations for delete to current_user using (expires_at <= now());
"""


def upgrade() -> None:
    execute(OWNER)
    install("_move", 1)
    install("_index_partition", 1)
    install("_build_partition", 1)
    install("_catch_up", 1)
    install("_attach_partition", 1)
    install("graduate", 1, to=APP)
    install("shrink", 1, to=APP)
    install("sweep", 1, to=APP)
    install("drop_day", 1, to=APP)
    install("expire_conversations", 1, to=APP)
    install("settle_churn", 1)
    install("chores", 1, to=APP)


def downgrade() -> None:
    execute("""
        drop function router.chores, router.settle_churn, router.expire_conversations, router.drop_day, router.sweep,
            router.shrink, router.graduate, router._attach_partition, router._catch_up,
            router._build_partition, router._index_partition, router._move;
        drop policy conversations_expired_of_owner on router.conversations;
    """)
