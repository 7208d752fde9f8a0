"""What a tenant pays, where that is not what everybody pays."""

from __future__ import annotations

from migrations.install import execute, install

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    install("put_price", 1)
    install("drop_price", 1)
    install("prices", 1, to="router_app, router_reader")


def downgrade() -> None:
    execute("drop function router.prices, router.drop_price, router.put_price;")
