"""The errors of the router: status, code and meaning."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from app import errors
from app.errors import RouterError
from scripts.docs.tables import code, sentence, table

_APP = Path(errors.__file__).parent


def markdown() -> str:
    """Return a row for each class of `app.errors` that has a status."""
    codes = _codes()
    rows = []
    for kind in sorted(_kinds(RouterError), key=lambda kind: kind.status):
        shown = sorted(codes[kind.__name__] | ({kind.default_code} if kind.default_code else set()))
        rows.append((str(kind.status), ", ".join(code(each) for each in shown), sentence(kind.__doc__ or "")))
    return table(("status", "`code`", "meaning"), rows)


def _kinds(kind: type[RouterError]) -> Iterator[type[RouterError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _kinds(each)


def _codes() -> dict[str, set[str]]:
    """Return the codes passed as `code=`, by the name of the class that is called, or that calls its parent."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in _APP.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
                found[call.func.id] |= _given(call)
        for made in ast.walk(tree):
            if isinstance(made, ast.ClassDef):
                for call in ast.walk(made):
                    if isinstance(call, ast.Call) and ast.unparse(call.func) == "super().__init__":
                        found[made.name] |= _given(call)
    return found


def _given(call: ast.Call) -> set[str]:
    values = [keyword.value for keyword in call.keywords if keyword.arg == "code"]
    constants = [node.value for value in values for node in ast.walk(value) if isinstance(node, ast.Constant)]
    return {constant for constant in constants if isinstance(constant, str)}
