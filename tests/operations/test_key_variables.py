"""The environment variables whose values may be sent to a provider."""

from __future__ import annotations

import pytest

from app.operations.providers import is_key_variable


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "A_KEY", "HF_TOKEN", "GITHUB_TOKEN", "my_api_key"])
def test_names_of_keys_are_accepted(name: str) -> None:
    assert is_key_variable(name)


@pytest.mark.parametrize(
    "name",
    [
        "PATH", "HOME", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_BEARER_TOKEN", "PGPASSWORD", "PG_KEY",
        "DATABASE_URL", "DATABASE_KEY", "ROUTER_ADMIN_KEY", "PGROUTER_KEY", "SSH_KEY", "LD_KEY", "DJANGO_SECRET_KEY",
        "JWT_SIGNING_KEY", "TLS_PRIVATE_KEY", "router_admin_key", "KEY-1", "A KEY", "", "1_KEY", "KEY\n",
    ],
)  # fmt: skip
def test_other_names_are_refused(name: str) -> None:
    assert not is_key_variable(name)
