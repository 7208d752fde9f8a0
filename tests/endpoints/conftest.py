"""Commands on the database of a running proxy."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from app.cli import main
from tests.support.backtest_commands import Command


@pytest.fixture
def run(database: str, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run commands on the database of `proxy`, and expect the exit code `code`."""
    monkeypatch.setenv("DATABASE_URL", database)

    def invoke(*arguments: str | Path, code: int = 0, columns: int = 100) -> Result:
        result = CliRunner(env={"COLUMNS": str(columns)}).invoke(main, [str(argument) for argument in arguments])
        assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
        assert "Traceback" not in result.stderr
        return result

    return invoke
