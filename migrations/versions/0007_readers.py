"""Readers: which tenants a login that only looks may see."""

from __future__ import annotations

from migrations.install import execute, install

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    install("grant_tenant", 1)
    install("revoke_tenant", 1)
    install("readers", 1)


def downgrade() -> None:
    execute("drop function router.grant_tenant, router.revoke_tenant, router.readers;")
