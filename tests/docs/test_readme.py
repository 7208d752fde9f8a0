"""The README names every variable, command, metric and reason, and each name in it exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer.main
from starlette.routing import Match

from app import cli
from app.operations.policy_defaults import policy_defaults
from app.policy_settings import POLICY_SETTINGS
from app.server.app import routes
from app.settings import Settings
from app.settings.others import OTHERS
from app.settings.process import variables
from app.telemetry import metrics

ROOT = Path(__file__).parents[2]
MANUAL = (ROOT / "app" / "README.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8") + MANUAL
COMMAND = typer.main.get_command(cli.main)

#: Both documents without their generated sections.
WRITTEN = re.sub(r"^<!-- generated: .*?^<!-- end -->$", "", README, flags=re.S | re.M)
#: Variables that pgrouter sets for its own processes.
INTERNAL = {metrics.DIRECTORY, metrics.WORKER}
#: Variables that a dependency reads.
OF_PACKAGES = {"TIKTOKEN_CACHE_DIR"}


BLOCK = re.compile(r"^```\w*\n(.*?)^```$", re.S | re.M)


class Recorded(Mapping[str, str]):
    """An environment that is empty except for `given`, and records which variables are read."""

    def __init__(self, **given: str) -> None:
        self.given = given
        self.asked: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self.given[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.given)

    def __len__(self) -> int:
        return len(self.given)


def section(title: str) -> str:
    """Return the manual from that heading to the next of its level."""
    _, found, rest = MANUAL.partition(f"\n## {title}\n")
    assert found, f"app/README.md has no section {title!r}"
    return rest.partition("\n## ")[0]


def said_in_tables(text: str) -> set[str]:
    """Return the code in the first column of the tables."""
    return {name for line in text.splitlines() if line.startswith("|") for name in code(line.split("|")[1])}


def code(text: str) -> list[str]:
    """Return the texts between single backticks."""
    return re.findall(r"`([^`\n]+)`", text)


def source_names() -> set[str]:
    """Return variables that code outside of `Settings` reads from an environment, by name or by a module's constant."""
    found = set()
    for path in (*(ROOT / "app").rglob("*.py"), *(ROOT / "migrations").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        here = {
            node.targets[0].id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and isinstance(node.value, ast.Constant)
        }
        for node in ast.walk(tree):
            name = asked(node)
            if isinstance(name, ast.Constant):
                found.add(str(name.value))
            elif isinstance(name, ast.Name) and name.id in here:
                found.add(str(here[name.id]))
            elif isinstance(name, ast.Attribute) and ast.unparse(name.value) == "metrics":
                found.add(getattr(metrics, name.attr))
    return found


def asked(node: ast.AST) -> ast.expr | None:
    """Yield the name in `environ[name]`, `environ.get(name, …)` and `name in environ`, for any variable `environ`."""

    def environ(expression: ast.expr) -> bool:
        return ast.unparse(expression).endswith("environ")

    if isinstance(node, ast.Subscript) and environ(node.value):
        return node.slice
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        calls = node.func.attr
        if calls == "getenv" or (calls in ("get", "pop", "setdefault") and environ(node.func.value)):
            return node.args[0]
    if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn) and environ(node.comparators[0]):
        return node.left
    return None


def read_variables() -> set[str]:
    """Return every variable that pgrouter reads."""
    environ = Recorded()
    Settings.from_environment(environ)
    policy_defaults(environ)
    # Read by prefix, some under composed names, which the docstring of the module lists.
    traced = set(
        re.findall(r"\bOTEL_[A-Z_]*[A-Z]\b", (ROOT / "app" / "telemetry" / "otel.py").read_text(encoding="utf-8"))
    )
    assert len(traced) > 3
    return (environ.asked | source_names() | traced | OF_PACKAGES) - INTERNAL


def test_the_tables_of_variables_have_every_variable_that_is_read_and_no_other() -> None:
    names = [variable.name for variable in (*variables().values(), *OTHERS)]
    names += [setting.variable for setting in POLICY_SETTINGS.values()]
    assert len(names) == len(set(names))
    assert set(names) == read_variables()


def commands() -> Iterator[tuple[str, list[str]]]:
    """Yield each `pgrouter …` in code or in a block of it: the whole, and its words."""
    lines = [line.partition(" #")[0] for block in re.findall(BLOCK, README) for line in block.splitlines()]
    for text in (*lines, *code(re.sub(BLOCK, "", README))):
        for found in re.findall(r"(?<![\w./-])(?:\.venv/bin/)?pgrouter ([a-z][^|&;)]*)", text):
            yield text, re.sub(r"\"[^\"]*\"", "TEXT", found).split()


def subcommands(command: Any) -> dict[str, Any]:
    """Return the subcommands of a group by name; empty for other commands.

    By attribute, because some versions of typer bring their own click.
    """
    return getattr(command, "commands", {})


def test_every_command_and_option_in_the_readme_exists() -> None:
    named = list(commands())
    assert len(named) > 40, "hardly any command was found"
    for text, words in named:
        command: Any = COMMAND
        rest = list(words)
        while subcommands(command) and rest:
            assert rest[0] in command.commands, text
            command = command.commands[rest.pop(0)]
        known = {name for each in command.params for name in (*each.opts, *each.secondary_opts)} | {"--help"}
        assert known.issuperset(word for word in rest if word.startswith("--")), text


def test_every_command_is_in_the_readme() -> None:
    named: set[tuple[str, ...]] = {tuple(words[:count]) for _, words in commands() for count in (1, 2)}
    # The table of administration has the common prefix in its heading only.
    for line in section("Administration").splitlines():
        if line.startswith("| `pgrouter "):
            first, *others = code(line.split("|")[1])
            named |= {(*first.split()[1:-1], other) for other in others}
    for name, command in subcommands(COMMAND).items():
        wanted: set[tuple[str, ...]] = {(name, each) for each in subcommands(command)} or {(name,)}
        assert wanted <= named


def test_the_metrics_in_the_manual_are_those_of_the_registry() -> None:
    names = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in metrics.REGISTRY.collect()
    }  # fmt: skip
    assert {name for name in said_in_tables(section("Observability")) if not name.startswith("/")} == names


def test_the_reasons_in_the_readme_are_those_of_the_type() -> None:
    listed: set[str] = set()
    for path in (ROOT / "migrations" / "versions").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        for made in re.findall(r"create type router\.reason as enum \((.*?)\)", text, re.S):
            listed |= set(re.findall(r"'(\w+)'", made))
        listed |= set(re.findall(r"alter type router\.reason add value '(\w+)'", text))
    rows = section("Routing").partition("| reason |")[2].partition("\n\n")[0]
    assert said_in_tables(rows) - {"reason"} == listed


def test_the_headers_in_the_readme_are_those_of_the_code() -> None:
    ours = set()
    for path in (ROOT / "app").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes):
                text = node.value if isinstance(node.value, str) else node.value.decode("latin-1")
                ours |= set(re.findall(r"^x-router(?:-[a-z]+)*$", text.lower()))
    said = {name.lower() for name in re.findall(r"`(x-router(?:-[a-z]+)*)(?:: [^`]*)?`", README, re.I)}
    assert said == ours


@pytest.mark.parametrize(("method", "path"), sorted(set(re.findall(r"(GET|POST|DELETE) (/v1/[\w/{}-]+)", WRITTEN))))
def test_paths_in_the_readme_are_served(method: str, path: str) -> None:
    scope = {"type": "http", "path": path.format(id="1", policy="auto", change="1"), "method": method, "headers": []}
    # The last route forwards all other paths.
    assert any(route.matches(scope)[0] is Match.FULL for route in routes[:-1])


@pytest.mark.parametrize("file", ["README.md", "app/README.md", "sql/README.md"])
def test_links_lead_somewhere(file: str) -> None:
    text = re.sub(BLOCK, "", (ROOT / file).read_text(encoding="utf-8"))
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    assert links
    for link in links:
        if link.startswith("http"):
            continue
        name, _, anchor = link.partition("#")
        target = (ROOT / file).parent / name if name else ROOT / file
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def anchors(path: Path) -> set[str]:
    """Return GitHub's anchors of the headings."""
    text = re.sub(BLOCK, "", path.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
