"""Settings of the process: each variable is read, and an invalid value is refused by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.errors import ConfigurationError
from app.settings import Settings
from app.settings.process import variables
from app.settings.variables import Variable

RANGED = {field: variable for field, variable in variables().items() if " to " in variable.kind.range}


def test_an_empty_environment_gives_the_defaults() -> None:
    given = Settings.from_environment({variable.name: "  " for variable in variables().values()})
    assert given == Settings(home=Path(".pgrouter").absolute())


@pytest.mark.parametrize(("field", "variable"), RANGED.items())
def test_the_least_value_is_read_and_what_lies_outside_is_refused_by_name(field: str, variable: Variable) -> None:
    low, _, high = variable.kind.range.partition(" to ")
    assert getattr(Settings.from_environment({variable.name: low}), field) == float(low)
    for outside in (str(float(low) - 1).removesuffix(".0"), str(int(high) + 1), "nan", "a word"):
        with pytest.raises(ConfigurationError, match=f"^{variable.name}="):
            Settings.from_environment({variable.name: outside})


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("ROUTER_ACCESS_LOG", "On", "access_log", True),
        ("ROUTER_OTHER_PATHS", "false", "other_paths", False),
        ("ROUTER_BACKEND", "none", "routing", False),
        ("ROUTER_BACKEND", "cheapest", "routing", True),
        ("LOG_LEVEL", "DEBUG", "log_level", "debug"),
        ("PGROUTER_HOME", "~/state", "home", Path.home() / "state"),
        ("DATABASE_URL", " postgresql://x ", "database_url", "postgresql://x"),
    ],
)
def test_a_variable_is_read_into_its_field(name: str, text: str, field: str, value: object) -> None:
    assert getattr(Settings.from_environment({name: text}), field) == value


@pytest.mark.parametrize("name", ["ROUTER_ACCESS_LOG", "ROUTER_BACKEND", "LOG_LEVEL", "LOG_FORMAT"])
def test_a_word_that_is_none_of_the_choices_is_refused_with_the_choices(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{name}='maybe' is unknown: choose one of "):
        Settings.from_environment({name: "maybe"})
