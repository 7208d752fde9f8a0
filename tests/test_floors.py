"""The floors of `app/`: imports go down only, the store alone imports asyncpg, and app and migrations do not meet."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]

#: The rooms of `app/`, from the ground up. A room may import rooms of lower floors, and itself.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors", "entities", "policy_settings", "api_keys", "caching", "json_outline", "off_loop"),
    ("settings", "catalog", "key_scopes", "store", "upstream", "dialects", "http", "embedded"),
    ("memory", "telemetry"),
    ("operations", "routing"),
    ("accounting", "demo"),
    ("services",),
    ("endpoints", "proxy", "console"),
    ("server",),
    ("cli",),
    ("__init__", "__main__"),
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS, 1) for room in rooms}
#: Rooms of the second floor that others of that floor may import: both are values, not services.
GROUND = {"settings", "catalog"}


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imported(source: Path) -> Iterator[tuple[int, str]]:
    """Every module or name that a file imports, with its line: at the top, in functions, and for type checkers."""
    package = source.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (above, node.module) if part)
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def room_of(module: str) -> str | None:
    """Return the room of `app.ROOM.…`; None for other packages, and for names of `app` itself (`__version__`)."""
    parts = module.split(".")
    return parts[1] if parts[0] == "app" and len(parts) > 1 and parts[1] in FLOOR_OF else None


def room_of_file(source: Path) -> str:
    return source.relative_to(ROOT / "app").parts[0].removesuffix(".py")


def test_every_file_is_in_a_room() -> None:
    assert {room_of_file(source) for source in sources("app")} <= set(FLOOR_OF)


def test_app_imports_itself_relatively_so_that_it_can_be_installed_as_pgrouter() -> None:
    named = [
        f"{source.relative_to(ROOT)}:{node.lineno}"
        for source in sources("app")
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if (isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").partition(".")[0] == "app")
        or (isinstance(node, ast.Import) and any(alias.name.partition(".")[0] == "app" for alias in node.names))
    ]
    assert not named


def test_imports_go_down_the_floors_only() -> None:
    upward = [
        f"{source.relative_to(ROOT)}:{line} ({FLOOR_OF[here]}) imports {name} ({FLOOR_OF[there]})"
        for source in sources("app")
        for here in [room_of_file(source)]
        for line, name in imported(source)
        for there in [room_of(name)]
        if there is not None and there != here and FLOOR_OF[there] >= FLOOR_OF[here]
        if not (there in GROUND and FLOOR_OF[here] == 2 and here not in GROUND)
    ]
    assert not upward, "\n".join(upward)


def test_only_the_store_imports_the_database_driver() -> None:
    elsewhere = [
        f"{source.relative_to(ROOT)}:{line}"
        for source in sources("app")
        for line, name in imported(source)
        if name.partition(".")[0] == "asyncpg" and room_of_file(source) != "store"
    ]
    assert not elsewhere


def test_the_store_imports_values_and_errors_and_nothing_else_of_ours() -> None:
    found = {
        room for source in sources("app/store") for _, name in imported(source) if (room := room_of(name)) is not None
    }
    assert found == {"store", "entities", "policy_settings", "errors"}


def test_the_app_and_the_migrations_do_not_import_each_other() -> None:
    for one, other in (("app", "migrations"), ("migrations", "app")):
        assert len(sources(one)) > 5
        found = [name for source in sources(one) for _, name in imported(source)]
        assert not [name for name in found if name.partition(".")[0] == other]


def test_no_test_module_imports_another_and_scripts_import_no_tests() -> None:
    found = [
        f"{source.relative_to(ROOT)}:{line} imports {name}"
        for folder, banned in (("tests", "test_"), ("scripts", ""))
        for source in sources(folder)
        for line, name in imported(source)
        if name.startswith("tests.") and (folder == "scripts" or f".{banned}" in name.rpartition(".")[0])
    ]
    assert not found, "\n".join(found)
