"""Puts the package pgrouter into an editable install, where the code is the folder app/ of the checkout.

A built wheel has the files of app/ as the package pgrouter (pyproject.toml, `sources`). That is possible because app/
imports itself relatively. An editable install cannot rename a folder, so it gets a package of three lines instead,
which imports app/.
"""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class EditableHook(BuildHookInterface[Any]):
    """Adds `scripts/package/pgrouter` to editable wheels."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Change the data of a build; `version`: `standard` or `editable`."""
        if version == "editable":
            build_data["force_include_editable"]["scripts/package/pgrouter"] = "pgrouter"
