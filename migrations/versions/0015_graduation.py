"""A partition that is swept while its tenant is about to graduate into it is built anew."""

from __future__ import annotations

from migrations.install import execute, install, restore

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

APP = "router_app"


def upgrade() -> None:
    execute("drop function router.graduate;")
    install("graduate", 2, to=APP)


def downgrade() -> None:
    execute("drop function router.graduate;")
    restore("graduate", 1, to=APP)
