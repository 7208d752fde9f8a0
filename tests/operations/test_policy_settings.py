"""The table of policy settings matches the database, the command line, the admin API and the environment."""

from __future__ import annotations

import inspect
import math
from typing import Any

import asyncpg
import pytest
import typer.main

from app.cli import main
from app.cli.policies import put_policy
from app.endpoints.admin.policies import PutPolicy
from app.errors import ConfigurationError
from app.operations.policy_defaults import policy_defaults, setting_value
from app.policy_settings import LARGEST, POLICY_SETTINGS, PolicySetting
from tests.support.sql_world import World

NUMBERS = [setting for setting in POLICY_SETTINGS.values() if setting.kind is not str]
SQL_TYPES: dict[type[Any], str] = {int: "integer", float: "double precision"}
ENUMERATIONS = {"granularity": "router.granularity", "fit_n0": "router.on_off", "guess_task": "router.task_guess"}


def sql_type(setting: PolicySetting) -> str:
    """Return the type of the setting's column."""
    return ENUMERATIONS[setting.name] if setting.kind is str else SQL_TYPES[setting.kind]


async def test_the_sql_type_has_the_settings_in_the_order_of_the_table(world: World) -> None:
    rows = await world.owner.fetch(
        "select attname, format_type(atttypid, atttypmod) as type from pg_attribute"
        " where attrelid = 'router.policy_settings'::regclass order by attnum"
    )
    assert [tuple(row) for row in rows] == [(setting.name, sql_type(setting)) for setting in POLICY_SETTINGS.values()]


async def test_the_columns_have_the_types_and_defaults_of_the_table(world: World) -> None:
    await world.policy(await world.tenant(), seed_count=None)
    names = ", ".join(f"p.{name}" for name in POLICY_SETTINGS)
    types = ", ".join(f"pg_typeof(p.{name})::text" for name in POLICY_SETTINGS)
    row = await world.owner.fetchrow(f"select {names} from router.policies as p")
    assert dict(row) == {name: setting.default for name, setting in POLICY_SETTINGS.items()}
    found = await world.owner.fetchrow(f"select {types} from router.policies as p")
    assert list(found) == [sql_type(setting) for setting in POLICY_SETTINGS.values()]


@pytest.mark.parametrize("name", ENUMERATIONS)
async def test_the_choices_are_the_labels_of_the_enumeration(world: World, name: str) -> None:
    labels = await world.owner.fetchval(f"select enum_range(null::{ENUMERATIONS[name]})::text[]")
    assert tuple(labels) == POLICY_SETTINGS[name].choices


@pytest.mark.parametrize("setting", NUMBERS, ids=lambda setting: setting.name)
async def test_the_check_constraint_has_the_range_of_the_table(world: World, setting: PolicySetting) -> None:
    await world.policy(await world.tenant())
    statement = f"update router.policies set {setting.name} = $1"
    for value in (setting.low, setting.high):
        await world.owner.execute(statement, setting.kind(value) if math.isfinite(value) else value)
    outside = [setting.low - 1] if setting.kind is int else [math.nextafter(setting.low, -math.inf), math.nan]
    if math.isfinite(setting.high) and setting.high < LARGEST:
        outside.append(setting.high + 1 if setting.kind is int else math.nextafter(setting.high, math.inf))
    for value in outside:
        with pytest.raises(asyncpg.CheckViolationError, match=f"policies_{setting.name}_check"):
            await world.owner.execute(statement, value)


@pytest.mark.parametrize("setting", POLICY_SETTINGS.values(), ids=lambda setting: setting.name)
def test_the_default_of_a_setting_is_in_its_range(setting: PolicySetting) -> None:
    assert setting_value(setting.name, str(setting.default), "here") == setting.default


def test_policy_put_has_an_option_for_each_setting() -> None:
    command: Any = typer.main.get_command(main)
    options = {name for option in command.commands["policy"].commands["put"].params for name in option.opts}
    assert {setting.option for setting in POLICY_SETTINGS.values()} < options
    assert set(inspect.signature(put_policy).parameters) > set(POLICY_SETTINGS)


def test_the_admin_api_takes_each_setting_in_its_range() -> None:
    properties = PutPolicy.model_json_schema()["properties"]
    for setting in NUMBERS:
        shown = properties[setting.name]["anyOf"][0]
        shown = shown.get("anyOf", [shown])[0]
        assert shown["minimum"] == setting.low
        assert shown.get("maximum", math.inf) == setting.high
    assert tuple(properties["granularity"]["anyOf"][0]["enum"]) == POLICY_SETTINGS["granularity"].choices


def test_the_variable_of_each_setting_is_read() -> None:
    given = {setting.variable: str(setting.default) for setting in POLICY_SETTINGS.values()}
    assert policy_defaults(given).settings == {name: setting.default for name, setting in POLICY_SETTINGS.items()}
    for setting in NUMBERS:
        with pytest.raises(ConfigurationError, match=f"{setting.variable}=-1 is outside"):
            policy_defaults({setting.variable: "-1"})
