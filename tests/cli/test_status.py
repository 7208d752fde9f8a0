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
    shown = acme("status", "--tenant", "acme").stdout
    assert "teach 99 more examples" in shown
    assert shown.endswith("\nfit of acme/auto: n0 2, no task is guessed, no matrix (1 memories of 200)\n")


def test_status_shows_what_is_fitted_to_the_memory(acme: Command, tmp_path: Path, database: str) -> None:
    examples = [
        {"prompt": f"Add {n} and {n * 7}.", "scores": {"gpt-4o": 1.0, "gpt-4o-mini": float(n % 3 > 0)}}
        for n in range(200)
    ]
    acme("import", lines(tmp_path / "a.jsonl", examples), "--tenant", "acme")
    acme("policy", "put", "acme", "late", "--models", "gpt-4o,gpt-4o-mini", "--default", "gpt-4o")
    acme("policy", "put", "acme", "plain", "--backend", "cheapest")
    (fitted, unfitted, plain) = printed(acme("status", "--json"))
    assert (unfitted["fit"]["why"], plain["fit"]) == ("maintenance has not fitted it yet", None)
    fit = "select f.* from router.policies as p, router.fit(1, p.policy_id, 1::smallint) as f where p.name = 'auto'"
    (row,) = asyncio.run(with_database(database, lambda db: db.fetch(fit)))
    assert (fitted["fit"]["matrix"], fitted["fit"]["why"], fitted["fit"]["n0"]) == (True, None, row["n0"])
    (line, _) = [line for line in acme("status").stdout.splitlines() if line.startswith("fit of ")]
    assert line == (
        f"fit of acme/auto: n0 {row['n0']:g}, no task is guessed, matrix; fitted {row['fitted_at']:%Y-%m-%d %H:%M} UTC"
        " to 200 of 200 memories, 200 with two labels or more"
    )


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
    assert found["neighbours"][0]["effects"] == [0.0, 0.0]
    assert "no policy 'none'" in acme("explain", "x", "--tenant", "acme", "--policy", "none", code=1).stderr
    acme("explain", "x", "--tenant", "acme", "--alpha", "-1", code=2)


def test_explain_shows_the_parts_of_an_estimate_and_the_effect_of_each_neighbour(acme: Command, tmp_path: Path) -> None:
    examples = [
        {"prompt": "Say hello in French.", "scores": {"gpt-4o": 1.0, "gpt-4o-mini": 1.0}},
        {"prompt": "Prove that there are infinitely many primes.", "scores": {"gpt-4o": 1.0, "gpt-4o-mini": 0.0}},
    ]
    acme("import", lines(tmp_path / "a.jsonl", examples), "--tenant", "acme")
    acme("policy", "put", "acme", "auto", "--seed-count", "1", "--alpha", "0")
    asked = ("explain", "Say hello in Spanish.", "--tenant", "acme")
    found = json.loads(acme(*asked, "--json").stdout)
    shown = acme(*asked).stdout.splitlines()
    assert "quality = (1 - share) * (prior + ease + own) + share * (prior + borrowed)" in shown
    top = next(number for number, line in enumerate(shown) if line.startswith("model "))
    for line, row in zip(shown[top + 1 :], found["candidates"], strict=False):
        cells = dict(zip(shown[top].split(), line.split(), strict=True))
        assert (cells["model"], cells["share"], cells["borrowed"]) == (row["model"], "0", "-")
        parts = [float(cells[name]) for name in ("prior", "ease", "own")]
        assert sum(parts) == pytest.approx(row["quality"], abs=2e-3)
        assert float(cells["own"]) != 0
        moved = sum(near["effects"][near["candidates"].index(row["model"])] for near in found["neighbours"])
        assert row["quality"] == pytest.approx(row["prior"] + moved, abs=1e-6)
    near, far = found["neighbours"]
    assert near["prompt"].startswith("Say")
    effects = dict(zip(near["candidates"], near["effects"], strict=True))
    assert effects["gpt-4o-mini"] > 0 > dict(zip(far["candidates"], far["effects"], strict=True))["gpt-4o-mini"]
    line = next(line for line in shown if "Say hello in French." in line)
    assert f"gpt-4o-mini={effects['gpt-4o-mini']:+.3f}" in line


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
