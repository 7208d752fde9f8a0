"""Who imports whom: what the request passes through knows its tools, and they know neither it nor each other."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOOLS = ("app.memory.embedders", "app.upstream.client", "app.dialects.prompt", "app.accounting.ledger")


@cache
def imports(module: str) -> frozenset[str]:
    """The modules of `app` and `migrations` that this one imports when it is imported, or when it works."""
    path = ROOT / module.replace(".", "/")
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    tree = ast.parse(source.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = (f"{node.module}.{alias.name}" for alias in node.names)
            found |= {node.module, *(name for name in inner if is_module(name))}
    return frozenset(name for name in found if name.partition(".")[0] in ("app", "migrations") and name != "app")


def is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").is_file()


def reached(module: str) -> set[str]:
    """All that a module, or a package with all that is in it, leads to."""
    path = ROOT / module.replace(".", "/")
    waiting = [module, *(f"{module}.{each.stem}" for each in path.glob("*.py") if each.stem != "__init__")]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += imports(name)
    return found


def of(module: str, names: set[str]) -> set[str]:
    return {name for name in names if name == module or name.startswith(f"{module}.")}


@pytest.mark.parametrize("tool", TOOLS)
def test_a_tool_leads_to_no_other_and_not_back(tool: str) -> None:
    found = reached(tool)
    assert len(found) > 1
    for other in (*TOOLS, "app.endpoints", "app.routing", "app.services", "app.server.app"):
        assert other == tool or not of(other, found)


def test_the_store_knows_errors_and_entities_alone() -> None:
    found = reached("app.store")
    assert found - of("app.store", found) == {"app.errors", "app.entities"}


def test_the_process_and_the_migrations_do_not_know_each_other() -> None:
    for one, other in (("app", "migrations"), ("migrations", "app")):
        files = [path.relative_to(ROOT).with_suffix("") for path in (ROOT / one).rglob("*.py")]
        modules = [".".join(file.parts).removesuffix(".__init__") for file in files]
        assert len(modules) > 10
        assert not of(other, {name for module in modules for name in imports(module)})
