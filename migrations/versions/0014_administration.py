"""Administration by HTTP as by the command line: keys that rotate and change, providers that go, abilities filled in."""

from __future__ import annotations

from migrations.install import execute, install, restore

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    execute("drop function router.create_key, router.credentials, router.change_tenant, router.tenancies;")
    install("_models", 1)
    install("create_key", 2)
    install("change_key", 1)
    install("rotate_key", 1)
    install("credentials", 2)
    install("change_tenant", 2)
    install("tenancies", 2)
    install("delete_provider", 1)
    install("fill_model", 1)
    install("usages", 1)


def downgrade() -> None:
    execute("""
        drop function router.usages, router.create_key, router.change_key, router.rotate_key, router.credentials, router.change_tenant,
            router.tenancies, router.delete_provider, router.fill_model, router._models;
    """)
    restore("create_key", 1)
    restore("credentials", 1)
    restore("change_tenant", 1)
    restore("tenancies", 1)
