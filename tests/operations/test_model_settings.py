"""Settings of a model: how they are read, which are refused, and that the database refuses the same."""

from __future__ import annotations

from typing import Any

import asyncpg
import orjson
import pytest

from app.errors import BadRequest
from app.operations.model_settings import LARGEST, MOST, REFUSED, changed, checked, parsed
from tests.support.sql_world import World

PUT = "select router.put_model('m', 'fake', 'up', 1, null, 1, null, null, null, null, null, p_settings => $1)"


def test_a_value_is_json_if_it_parses_and_text_if_not() -> None:
    pairs = ["reasoning_effort=low", "max_output_tokens=512", "a.b=true", "c=[1, 2]", 'd="5"', "e=x=y", "f="]
    assert parsed(pairs) == {
        "reasoning_effort": "low", "max_output_tokens": 512, "a.b": True, "c": [1, 2], "d": "5", "e": "x=y", "f": "",
    }  # fmt: skip


@pytest.mark.parametrize("pair", ["reasoning_effort", "=low"])
def test_a_pair_needs_a_name_and_a_value(pair: str) -> None:
    with pytest.raises(BadRequest, match="NAME=VALUE"):
        parsed([pair])


def test_objects_are_taken_apart() -> None:
    given = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "a": {"b": {"c": [{"d": 1}]}}}
    assert checked(given) == {"thinking.type": "enabled", "thinking.budget_tokens": 1024, "a.b.c": [{"d": 1}]}


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"messages": []}, "settings.messages"),
        ({"text": {"format": {"type": "json_object"}}}, "settings.text.format.type"),
        ({"stream_options.include_usage": True}, "settings.stream_options.include_usage"),
        ({"temperature": None}, "settings.temperature"),
        ({"thinking": {}}, "settings.thinking"),
        ({"max_tokens": 0}, "settings.max_tokens"),
        ({"max_output_tokens": "many"}, "settings.max_output_tokens"),
        ({"thinking.budget_tokens": True}, "settings.thinking.budget_tokens"),
        ({"reasoning_effort": 3}, "settings.reasoning_effort"),
        ({"max_tokens": 5, "max_output_tokens": 6}, "settings.max_output_tokens"),
        ({"reasoning_effort": "low", "reasoning": {"effort": "low"}}, "settings.reasoning.effort"),
        ({"a": 1, "a.b": 2}, "settings.a.b"),
        ({"a.b": 1, "a": {"b": 2}}, "settings.a.b"),
        ({"thinking.type": "disabled", "thinking.budget_tokens": 1024}, "settings.thinking.type"),
        ({"a b": 1}, "settings"),
        ({"a..b": 1}, "settings"),
        ({"a.b.c.d.e": 1}, "settings"),
        ({"a": "\0"}, "settings"),
        ({"a": "\ud800"}, "settings"),
        ({"a": "x" * LARGEST}, "settings"),
        ({f"a{number}": 1 for number in range(MOST + 1)}, "settings"),
    ],
)
def test_what_cannot_be_a_setting_is_named(given: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        checked(given)
    assert caught.value.param == param


def test_settings_are_changed_one_by_one() -> None:
    known = {"reasoning_effort": "low", "thinking.type": "enabled", "thinking.budget_tokens": 1024, "seed": 1}
    assert changed(known, {"reasoning.effort": "high"}, ["thinking"]) == {"seed": 1, "reasoning.effort": "high"}
    assert changed(known, {"seed": 2}, []) == {**known, "seed": 2}
    with pytest.raises(BadRequest, match="no setting 'temperature'"):
        changed(known, {}, ["temperature"])


async def test_the_database_takes_what_is_checked(world: World) -> None:
    longest = {"a": "x" * (LARGEST - len('{"a": ""}'))}
    most = {f"a{number}": number for number in range(MOST)}
    for given in (
        {"a.b-c_d.E.f": [{"g": None}]},
        {"x" * 64: 1.5},
        {"modelling": 1, "text.formats": True},
        longest,
        most,
    ):
        await world.owner.execute(PUT, orjson.dumps(checked(given)).decode())
        stored = await world.owner.fetchval("select settings from router.models where name = 'm'")
        assert orjson.loads(stored) == given


@pytest.mark.parametrize("name", sorted(REFUSED))
async def test_the_database_refuses_the_same_members(world: World, name: str) -> None:
    for member in (name, f"{name}.x"):
        with pytest.raises(asyncpg.CheckViolationError, match="models_settings_fields_check"):
            await world.owner.execute(PUT, orjson.dumps({member: 1}).decode())


@pytest.mark.parametrize(
    ("settings", "constraint"),
    [
        ("[]", "models_settings_check"),
        ("1", "models_settings_check"),
        ('{"a": {}}', "models_settings_check"),
        ('{"a": null}', "models_settings_check"),
        (orjson.dumps({f"a{number}": 1 for number in range(MOST + 1)}).decode(), "models_settings_check"),
        (orjson.dumps({"a": "x" * LARGEST}).decode(), "models_settings_check"),
        ('{"a b": 1}', "models_settings_names_check"),
        ('{"": 1}', "models_settings_names_check"),
        ('{"a.b.c.d.e": 1}', "models_settings_names_check"),
    ],
)
async def test_the_database_refuses_settings_out_of_bounds(world: World, settings: str, constraint: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match=constraint):
        await world.owner.execute(PUT, settings)


async def test_a_model_under_its_providers_name_has_no_settings(world: World) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match="models_settings_upstream_check"):
        await world.owner.execute(PUT.replace("'up'", "'m'"), '{"seed": 1}')
