"""The entry point `pgrouter.cli:main` of an editable install."""

from __future__ import annotations

from app.cli import main

__all__ = ["main"]
