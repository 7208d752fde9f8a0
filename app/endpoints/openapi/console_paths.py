"""The web page's path."""

from __future__ import annotations

from .operation import DocumentedPath, Operation

PATHS = (
    DocumentedPath(
        "GET",
        "/console",
        Operation(
            summary="The web page.",
            tag="process",
            # 503: the page is not built.
            responses={200: {"text/html": {"type": "string"}}, 503: {"text/plain": {"type": "string"}}},
            key=None,
            database=False,
        ),
    ),
)
