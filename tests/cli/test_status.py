"""The commands `pgrouter status` and `pgrouter explain`."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.support.commands import GOOD, Command, complaint, lines, printed, with_database


def test_status_counts_what_was_taught_and_what_is_missing(acme: Command, tmp_path: Path) -> None:
    acme("import", lines(tmp_path / "a.jsonl", [{**GOOD, "task": "math"}]), "--tenant", "acme")
    acme("tenant", "create", "beta")
    acme_status, beta_status = printed(acme("status", "--json"))
    assert (acme_status["tenant"], acme_status["memories"], acme_status["needed"]) == ("acme", 1, 99)
    assert acme_status["tasks"] == {"math": 1}
    assert (beta_status["tenant"], beta_status["memories"]) == ("beta", 0)
    assert "teach 99 more examples" in acme("status", "--tenant", "acme").stdout


def test_explain_names_the_model_and_the_reason(acme: Command, tmp_path: Path) -> None:
    assert (
        "0 memories of 100: gpt-4o serves until there is more." in acme("explain", "hello", "--tenant", "acme").stdout
    )
    lessons = tmp_path / "lessons.jsonl"
    example = {"prompt": "Say hello in French.", "scores": {"gpt-4o": 1.0, "gpt-4o-mini": 1.0}, "task": "hello"}
    lessons.write_text(json.dumps(example))
    acme("import", lessons, "--tenant", "acme")
    acme("policy", "put", "acme", "quick", "--seed-count", "1", "--explore-share", "0.05", "--explore-labels", "7")
    asked = ("explain", "Say hello in Spanish.", "--tenant", "acme", "--policy", "quick", "--task", "hello")
    said = acme(*asked).stdout
    assert said.startswith("gpt-4o-mini (learned)\ngpt-4o-mini: 1.00 expected at $")
    for shown in ("score", "confidence", "input_price", "score = quality - 0.1 * cost_usd /", "Say hello in French."):
        assert shown in said
    found = json.loads(acme(*asked, "--json").stdout)
    assert [row["model"] for row in found["candidates"]] == ["gpt-4o-mini", "gpt-4o"]
    assert found["neighbours"][0]["scores"] == [1.0, 1.0]
    assert "no policy 'none'" in acme("explain", "x", "--tenant", "acme", "--policy", "none", code=1).stderr
    acme("explain", "x", "--tenant", "acme", "--alpha", "-1", code=2)


def test_status_needs_this_environments_embedder_only_for_tenants_without_one_of_their_own(
    acme: Command, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme("reembed", "--tenant", "acme", "--to", "static")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setenv("ROUTER_EMBEDDER", "openai:fake")
    for key in (None, "sk-fake"):
        if key:
            monkeypatch.setenv("ROUTER_EMBEDDING_API_KEY", key)
        shown = acme("status", "--json")
        assert [row["tenant"] for row in printed(shown)] == ["acme"]
        assert not shown.stderr
    assert len(asyncio.run(with_database(database, lambda db: db.fetch("select from router.spaces")))) == 1
    monkeypatch.delenv("ROUTER_EMBEDDING_API_KEY")
    acme("tenant", "create", "beta")
    shown = acme("status", "--json")
    assert [row["tenant"] for row in printed(shown)] == ["acme"]
    assert "is not available: beta. ROUTER_EMBEDDER=openai:fake needs a key" in shown.stderr
    assert "needs a key" in complaint(acme("status", "--tenant", "beta", code=1))
