"""JSONL, CSV, HTTP and SQL accept and refuse the same examples."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import asyncpg
from pgvector import HalfVector

from app.errors import BadRequest
from app.operations.example_file import ExampleFile
from app.operations.import_examples import check
from app.store import models as stored_models
from scripts.support.connection import connect
from tests.support.hasty_embedder import hasty
from tests.support.proxy import CHEAP, STRONG, Proxy
from tests.support.rest import post
from tests.support.text_rules import RULES

RETIRED, PROVIDER = "retired", "fake"
MANY = 100_000

#: Examples, and the field that is wrong; None: accepted.
EXAMPLES: list[tuple[str, dict[str, Any], str | None]] = [
    ("one score", {"prompt": "p", "scores": {CHEAP: 1}}, None),
    ("both ends", {"prompt": "p", "scores": {CHEAP: 0, STRONG: 1}}, None),
    ("null is no label", {"prompt": "p", "scores": {CHEAP: None, STRONG: 0.5}}, None),
    ("all null", {"prompt": "p", "scores": {CHEAP: None, STRONG: None}}, "scores"),
    ("no score", {"prompt": "p", "scores": {}}, "scores"),
    ("a disabled model", {"prompt": "p", "scores": {RETIRED: 0.5}}, None),
    ("only a disabled model's length", {"prompt": "p", "scores": {CHEAP: 1}, "completion_tokens": {RETIRED: 7}}, None),
    ("above 1", {"prompt": "p", "scores": {CHEAP: 1.01}}, "scores"),
    ("below 0", {"prompt": "p", "scores": {CHEAP: -0.5}}, "scores"),
    ("blank prompt", {"prompt": " \n", "scores": {CHEAP: 1}}, "prompt"),
    ("blank task is none", {"prompt": "p", "scores": {CHEAP: 1}, "task": ""}, None),
    ("a task", {"prompt": "p", "scores": {CHEAP: 1}, "task": "sums"}, None),
    ("a long task", {"prompt": "p", "scores": {CHEAP: 1}, "task": "t" * 101}, "task"),
    ("a source", {"prompt": "p", "scores": {CHEAP: 1}, "source": "judge"}, None),
    ("another source", {"prompt": "p", "scores": {CHEAP: 1}, "source": "rumour"}, "source"),
    ("tokens", {"prompt": "p", "scores": {CHEAP: 1}, "completion_tokens": {CHEAP: 12, STRONG: None}}, None),
    ("a mean of tokens", {"prompt": "p", "scores": {CHEAP: 1}, "completion_tokens": {CHEAP: 1.5}}, None),
    ("too many tokens", {"prompt": "p", "scores": {CHEAP: 1}, "completion_tokens": {CHEAP: 10_000_001}},
     "completion_tokens"),
    ("negative tokens", {"prompt": "p", "scores": {CHEAP: 1}, "completion_tokens": {CHEAP: -1}}, "completion_tokens"),
    ("a long prompt", {"prompt": "word " * MANY, "scores": {CHEAP: 1}}, None),
]  # fmt: skip
#: The names of the same fields in SQL.
IN_SQL = {"scores": "quality"}


async def test_every_way_of_teaching_accepts_and_refuses_the_same(proxy: Proxy, database: str, tmp_path: Path) -> None:
    await stored_models.put_model(proxy.admin, RETIRED, PROVIDER, enabled=False)
    proxy.services.directory.invalidate()
    for name, example, wrong in EXAMPLES:
        found = {
            "jsonl": await refused_of_file(proxy, tmp_path / "a.jsonl", json.dumps(example)),
            "csv": await refused_of_file(proxy, tmp_path / "a.csv", as_csv(example)),
            "http": await refused_by_http(proxy, example),
            "sql": await refused_by_sql(proxy, database, example),
        }
        for door, message in found.items():
            assert (message is None) == (wrong is None), (name, door, message)
            if wrong is not None:
                fields = (wrong, IN_SQL.get(wrong, wrong), "q:" if wrong == "scores" else wrong)
                assert any(field in str(message) for field in fields), (name, door, message)


async def test_copies_within_a_batch_are_counted_apart_from_new_memories(proxy: Proxy) -> None:
    copies = [{"prompt": "p", "scores": {CHEAP: score}} for score in (0, 0.5, 1)]
    batch = {"examples": [*copies, {"prompt": "q", "scores": {CHEAP: 1}}]}
    for created, overwritten in ((2, 0), (0, 2)):
        _, answer = await post(proxy, "/v1/router/preferences/rank", batch)
        assert answer["taught"] == 4
        assert (answer["created"], answer["overwritten"], answer["copies"]) == (created, overwritten, 2)


async def test_a_disabled_model_can_be_labelled_and_not_asked(proxy: Proxy) -> None:
    await stored_models.put_model(proxy.admin, RETIRED, PROVIDER, enabled=False)
    proxy.services.directory.invalidate()
    for name in (RETIRED, f"{PROVIDER}/{RETIRED}"):
        status, _ = await post(proxy, "/v1/router/preferences/rank", {"prompt": name, "scores": {name: 1}})
        assert status == 200
    status, answer = await post(
        proxy, "/v1/chat/completions", {"model": RETIRED, "messages": [{"role": "user", "content": "hi"}]}
    )
    assert (status, answer["error"]["code"]) == (404, "model_not_found")
    body = {"prompt": "p", "models": [CHEAP, RETIRED]}
    status, answer = await post(proxy, "/v1/router/preferences/compare", body)
    assert (status, answer["error"]["param"]) == (400, "models[1]")
    status, answer = await post(proxy, "/v1/router/preferences/rank", {"prompt": "p", "scores": {"nobody": 1}})
    assert (status, answer["error"]["param"]) == (400, "scores.nobody")


async def refused_of_file(proxy: Proxy, path: Path, text: str) -> str | None:
    path.write_text(text, encoding="utf-8")
    try:
        await check(
            ExampleFile(path, "import"), await proxy.services.directory.catalog(), hasty(), RULES, lambda _: None
        )
    except BadRequest as error:
        return error.message
    return None


async def refused_by_http(proxy: Proxy, example: dict[str, Any]) -> str | None:
    status, answer = await post(proxy, "/v1/router/preferences/rank", example)
    assert status in (200, 400), answer
    return None if status == 200 else str(answer["error"]["message"])


async def refused_by_sql(proxy: Proxy, database: str, example: dict[str, Any]) -> str | None:
    """Call `router.record` with the example as it is, as somebody would in psql."""
    numbers = {row["name"]: row["model_id"] for row in await proxy.admin.fetch("select * from router.list_models()")}

    def array(labels: dict[str, Any]) -> list[Any]:
        by_number = {numbers[name]: value for name, value in labels.items()}
        return [by_number.get(number) for number in range(1, max(numbers.values()) + 1)]

    space = (await proxy.admin.fetch("select router.register_space('by hand', 384)"))[0][0]
    composite = (
        bytes(32), example["prompt"], example.get("source", "human"), example.get("task") or None, 1,
        array(example["scores"]), array(example.get("completion_tokens", {})), HalfVector([1.0] + [0.0] * 383),
    )  # fmt: skip
    connection = await connect(database)
    try:
        await connection.execute("select router.record($1, $2, null, $3)", proxy.tenant_id, space, [composite])
    except asyncpg.PostgresError as error:
        return f"{error} {getattr(error, 'constraint_name', '')}"
    finally:
        await connection.close()
    return None


def as_csv(example: dict[str, Any]) -> str:
    scores: dict[str, Any] = {f"q:{name}": value for name, value in example["scores"].items()} or {f"q:{CHEAP}": None}
    tokens = {f"t:{name}": value for name, value in example.get("completion_tokens", {}).items()}
    others: dict[str, Any] = {name: example[name] for name in ("prompt", "task", "source") if name in example}
    row: dict[str, Any] = {**others, **scores, **tokens}
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(row)
    writer.writerow("" if value is None else value for value in row.values())
    return text.getvalue()
