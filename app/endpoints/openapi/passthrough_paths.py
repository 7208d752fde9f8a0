"""What is passed through to the tenant's default provider untouched: paths that are known, and any other below /v1."""

from __future__ import annotations

from app.endpoints.openapi.operation import Operation, Schema
from app.endpoints.openapi.inference_paths import ANTHROPIC_ERROR, ERRORS

_TAG = "passed through"
_VIA = "/v1/{path}"
_ANYTHING: Schema = {"*/*": {}}
_FORM: Schema = {"multipart/form-data": {"type": "object"}}
_JSON: Schema = {"type": "object"}

#: Method, path, and what is sent; nothing of it is read here.
_KNOWN: tuple[tuple[str, str, Schema | None], ...] = (
    ("GET", "/v1/files", None),
    ("POST", "/v1/files", _FORM),
    ("GET", "/v1/files/{file_id}", None),
    ("DELETE", "/v1/files/{file_id}", None),
    ("GET", "/v1/files/{file_id}/content", None),
    ("POST", "/v1/uploads", _JSON),
    ("POST", "/v1/uploads/{upload_id}/parts", _FORM),
    ("POST", "/v1/uploads/{upload_id}/complete", _JSON),
    ("POST", "/v1/uploads/{upload_id}/cancel", None),
    ("GET", "/v1/batches", None),
    ("POST", "/v1/batches", _JSON),
    ("GET", "/v1/batches/{batch_id}", None),
    ("POST", "/v1/batches/{batch_id}/cancel", None),
    ("POST", "/v1/audio/speech", _JSON),
    ("POST", "/v1/audio/transcriptions", _FORM),
    ("POST", "/v1/audio/translations", _FORM),
    ("POST", "/v1/images/generations", _JSON),
    ("POST", "/v1/images/edits", _FORM),
    ("POST", "/v1/images/variations", _FORM),
    ("POST", "/v1/moderations", _JSON),
    ("GET", "/v1/responses/{response_id}", None),
    ("DELETE", "/v1/responses/{response_id}", None),
    ("POST", "/v1/responses/{response_id}/cancel", None),
    ("GET", "/v1/responses/{response_id}/input_items", None),
)


def _through(method: str, path: str, body: Schema | None, summary: str, via: str | None = None) -> Operation:
    error = ANTHROPIC_ERROR if path.startswith("/v1/messages") else "Error"
    return Operation(
        method,
        path,
        summary,
        _TAG,
        {200: _ANYTHING},
        ERRORS,
        body=body,
        body_needed=False,
        passes=True,
        error=error,
        via=via,
    )


OPERATIONS = (
    *(_through(method, path, body, "As the provider does it.", _VIA) for method, path, body in _KNOWN),
    *(
        _through(
            method, _VIA, None if method in ("GET", "DELETE") else _ANYTHING, "Any other path, as the provider does it."
        )
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
    ),
)
