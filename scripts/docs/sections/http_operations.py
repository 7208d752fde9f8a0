"""The HTTP operations of the OpenAPI document."""

from __future__ import annotations

from app.endpoints.openapi.operation import Operation
from app.endpoints.openapi.paths import documented_paths
from app.server.app import routes
from scripts.docs.tables import code, table

_KEYS = {None: "none", "master": "master"}


def markdown() -> str:
    """Return a row for each operation, ordered by part; operations with the same summary share a row."""
    documented = list(documented_paths(routes))
    parts = list(dict.fromkeys(each.operation.tag for each in documented))
    rows: dict[tuple[str, str, str], list[str]] = {}
    for each in sorted(documented, key=lambda each: parts.index(each.operation.tag)):
        shared = each.operation.tag, _key(each.operation), each.operation.summary
        rows.setdefault(shared, []).append(code(f"{each.method} {each.path}"))
    return table(
        ("operation", "part", "key", "what it does"), [(", ".join(names), *shared) for shared, names in rows.items()]
    )


def _key(operation: Operation) -> str:
    """Return the key that an operation needs: a tenant's with a scope, the master key or none."""
    if operation.key != "tenant":
        return _KEYS[operation.key]
    return "any tenant's" if operation.scope == "any" else f"tenant's, {code(str(operation.scope))}"
