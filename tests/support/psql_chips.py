"""Runs the SQL of the console's `psql` chips."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.process import ROOT

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page


async def rows_of_chip(page: Page, chip: Locator, home: Path) -> int:
    """Open a chip, run its text in psql on the server of `home`, close it, and return the number of rows."""
    await chip.click()
    text = await page.inner_text(".source-text[data-source=psql] pre")
    await page.keyboard.press("Escape")
    return await rows_of(text, home)


async def rows_of(sql: str, home: Path) -> int:
    """Run SQL, and commands of psql, on the server of `home`; return the number of rows. Raises if psql fails."""
    # The chips name the command by the name that it has when it is installed.
    bin_folder = home.parent / "bin"
    if not bin_folder.is_dir():
        bin_folder.mkdir()
        command = bin_folder / "pgrouter"
        command.write_text(f'#!/bin/sh\nexec {sys.executable} -m app "$@"\n')
        command.chmod(0o755)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app", "psql", "--no-psqlrc", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1",
        "--quiet", "--record-separator=\x1e",
        cwd=ROOT,
        env={**os.environ, "PGROUTER_HOME": str(home), "PATH": f"{bin_folder}:{os.environ['PATH']}"},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, errors = await process.communicate(sql.encode())
    assert process.returncode == 0, f"{sql}\n{errors.decode()}"
    return len([row for row in out.decode().split("\x1e") if row.strip()])
