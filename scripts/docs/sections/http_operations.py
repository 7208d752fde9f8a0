"""The HTTP operations of the OpenAPI document."""

from __future__ import annotations

from itertools import groupby

from app.endpoints.openapi import OPERATIONS
from scripts.docs.tables import code, table

_KEYS = {None: "none", "tenant": "tenant's", "master": "master"}


def markdown() -> str:
    """A row for each operation; neighbours that do the same share one."""
    rows = []
    for (tag, key, summary), group in groupby(OPERATIONS, key=lambda each: (each.tag, each.key, each.summary)):
        operations = ", ".join(code(f"{operation.method} {operation.path}") for operation in group)
        rows.append((operations, tag, _KEYS[key], summary))
    return table(("operation", "part", "key", "what it does"), rows)
