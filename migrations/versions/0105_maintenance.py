"""Maintenance: moves between tiers, partitions of the ledger, and the deletion of expired rows."""

from __future__ import annotations

from migrations.install import drop, execute, install

revision = "0105"
down_revision = "0104"
branch_labels = None
depends_on = None

APP = "router_app"

# Maintenance runs as the owner, across tenants: row level security lets it delete expired conversations and responses.
OWNER = """
create policy conversations_expired_of_owner on router.conversations for delete to current_user using (expires_at <= now());
create policy responses_expired_of_owner on router.responses for delete to current_user using (expires_at <= now());
"""


def upgrade() -> None:
    execute(OWNER)
    install("_begin_move", 1)
    install("_index_partition", 1)
    install("_build_partition", 1)
    install("_catch_up", 1)
    install("_attach_partition", 1)
    install("graduate", 1, to=APP)
    install("shrink", 1, to=APP)
    install("sweep", 1, to=APP)
    install("drop_day", 1, to=APP)
    install("expire_conversations", 1, to=APP)
    install("expire_reservations", 1, to=APP)
    install("settle_churn", 1)
    install("_fits_due", 1, to=APP)
    install("fit_due", 1, to=APP)
    install("chores", 1, to=APP)


def downgrade() -> None:
    drop(
        "chores", "fit_due", "_fits_due", "settle_churn", "expire_reservations", "expire_conversations", "drop_day", "sweep", "shrink",
        "graduate", "_attach_partition", "_catch_up", "_build_partition", "_index_partition", "_begin_move",
    )  # fmt: skip
    execute("""
        drop policy conversations_expired_of_owner on router.conversations;
        drop policy responses_expired_of_owner on router.responses;
    """)
