"""Paths forwarded unchanged to the tenant's default provider: the known ones, and all others below /v1."""

from __future__ import annotations

from .inference_paths import ERRORS
from .operation import JSON, DocumentedPath, Operation, Schema

_ROUTE = "/v1/{path}"
_ANY: dict[str, Schema] = {"*/*": {}}
_FORM: dict[str, Schema] = {"multipart/form-data": {"type": "object"}}
_OBJECT: dict[str, Schema] = {JSON: {"type": "object"}}

#: Method, path and request body; the router reads none of it.
_KNOWN: tuple[tuple[str, str, dict[str, Schema] | None], ...] = (
    ("GET", "/v1/files", None),
    ("POST", "/v1/files", _FORM),
    ("GET", "/v1/files/{file_id}", None),
    ("DELETE", "/v1/files/{file_id}", None),
    ("GET", "/v1/files/{file_id}/content", None),
    ("POST", "/v1/uploads", _OBJECT),
    ("POST", "/v1/uploads/{upload_id}/parts", _FORM),
    ("POST", "/v1/uploads/{upload_id}/complete", _OBJECT),
    ("POST", "/v1/uploads/{upload_id}/cancel", None),
    ("GET", "/v1/batches", None),
    ("POST", "/v1/batches", _OBJECT),
    ("GET", "/v1/batches/{batch_id}", None),
    ("POST", "/v1/batches/{batch_id}/cancel", None),
    ("POST", "/v1/audio/speech", _OBJECT),
    ("POST", "/v1/audio/transcriptions", _FORM),
    ("POST", "/v1/audio/translations", _FORM),
    ("POST", "/v1/images/generations", _OBJECT),
    ("POST", "/v1/images/edits", _FORM),
    ("POST", "/v1/images/variations", _FORM),
    ("POST", "/v1/moderations", _OBJECT),
    ("GET", "/v1/responses/{response_id}", None),
    ("DELETE", "/v1/responses/{response_id}", None),
    ("POST", "/v1/responses/{response_id}/cancel", None),
    ("GET", "/v1/responses/{response_id}/input_items", None),
)


def _forwarded(method: str, path: str, body: dict[str, Schema] | None, summary: str) -> DocumentedPath:
    operation = Operation(
        summary=summary,
        tag="passed through",
        scope="ask",
        responses={200: _ANY},
        errors=ERRORS,
        body=body,
        body_required=False,
        from_provider=True,
    )
    return DocumentedPath(method, path, operation, _ROUTE)


PATHS = (
    *(_forwarded(method, path, body, "Forwarded to the default provider.") for method, path, body in _KNOWN),
    *(
        _forwarded(
            method,
            _ROUTE,
            None if method in ("GET", "DELETE") else _ANY,
            "Any other path that asks no model: forwarded to the default provider.",
        )
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
    ),
)
