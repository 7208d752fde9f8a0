"""What the process says of itself, without a key."""

from __future__ import annotations

from app.endpoints.openapi.operation import Operation, Schema, fields

_TAG = "process"
_TEXT: Schema = {"type": "string"}

OPERATIONS = (
    Operation(
        "GET", "/healthz", "The process answers.", _TAG,
        {200: fields(status={"const": "alive"}, version="string")}, key=None, stored=False,
    ),
    Operation(
        "GET", "/readyz", "Whether the database is reachable at a schema that this version knows.", _TAG,
        {200: fields(status={"const": "ready"}), 503: fields(status={"const": "not ready"}, reason="string")},
        key=None, stored=False,
    ),
    Operation(
        "GET", "/metrics", "Counters in Prometheus's text format.", _TAG,
        {200: {"text/plain": _TEXT}}, key=None, stored=False,
    ),
    Operation(
        "GET", "/console", "A page for people.", _TAG, {200: {"text/html": _TEXT}}, key=None, stored=False,
    ),
    Operation(
        "GET", "/openapi.json", "This document.", _TAG,
        {200: fields(openapi="string", info="object", paths="object")}, key=None, stored=False,
    ),
)  # fmt: skip
