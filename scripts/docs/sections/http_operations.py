"""The HTTP operations of the OpenAPI document."""

from __future__ import annotations

from app.endpoints.openapi.paths import documented_paths
from app.server.app import routes
from scripts.docs.tables import code, table

_KEYS = {None: "none", "tenant": "tenant's", "master": "master"}


def markdown() -> str:
    """Return a row for each operation, ordered by part; operations with the same summary share a row."""
    documented = list(documented_paths(routes))
    parts = list(dict.fromkeys(each.operation.tag for each in documented))
    rows: dict[tuple[str, str, str], list[str]] = {}
    for each in sorted(documented, key=lambda each: parts.index(each.operation.tag)):
        shared = each.operation.tag, _KEYS[each.operation.key], each.operation.summary
        rows.setdefault(shared, []).append(code(f"{each.method} {each.path}"))
    return table(
        ("operation", "part", "key", "what it does"), [(", ".join(names), *shared) for shared, names in rows.items()]
    )
