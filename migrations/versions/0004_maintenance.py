"""Upkeep: tenants that outgrow the exact scan, days of the ledger, conversations that ended."""

from __future__ import annotations

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
