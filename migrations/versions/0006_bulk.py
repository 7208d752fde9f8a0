"""Files of examples: staged by COPY, taught in one statement."""

from __future__ import annotations

from migrations.install import execute, install

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    install("stage", 1)
    install("record_staged", 1)
    install("export", 1, to="router_app, router_reader")


def downgrade() -> None:
    execute("drop function router.export, router.record_staged, router.stage;")
