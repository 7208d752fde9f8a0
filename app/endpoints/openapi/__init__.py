"""The OpenAPI document: made from the routes that the process serves and what is written down of each."""

from __future__ import annotations

from app.endpoints.openapi.document import OPERATIONS, document, served

__all__ = ["OPERATIONS", "document", "served"]
