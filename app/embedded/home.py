"""Postgres's files in the state folder: lock, password, port and log."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from ..errors import ConfigurationError
from .lock import FileLock

SUPERUSER = "postgres"
DATABASE = "pgrouter"

_LOG_LIMIT = 10 * 1024 * 1024  # bytes


class Home:
    """The files in the folder `path`. Postgres's account needs no access to them."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        self.lock = FileLock(self.path / "lock")
        self.log = self.path / "postgres.log"
        self.password_file = self.path / "postgres-password"
        self._port_file = self.path / "postgres-port"

    def own(self) -> None:
        """Create the folder if absent, and lock it. Raises `ConfigurationError` if another process has the lock."""
        if not self.path.exists():
            self.path.mkdir(parents=True)
            # If this process is root, Postgres's account must pass through the folder; it cannot read the files.
            self.path.chmod(0o711 if os.geteuid() == 0 else 0o700)
        if not self.lock.acquire():
            owner = self.lock.owner()
            raise ConfigurationError(
                f"another pgrouter{f' (pid {owner})' if owner else ''} is already using {self.path}: "
                "stop it or set PGROUTER_HOME"
            )
        if self.log.exists() and self.log.stat().st_size > _LOG_LIMIT:
            self.log.replace(self.log.with_suffix(".log.1"))

    def make_password(self) -> None:
        """Write a random password for the superuser, unless there is one."""
        if not self.password_file.exists():
            # Written atomically: an empty file on a full disk would make every later start fail.
            new = self.password_file.with_name("postgres-password.new")
            new.unlink(missing_ok=True)
            new.touch(mode=0o600)
            new.write_text(secrets.token_urlsafe(24) + "\n")
            new.replace(self.password_file)

    @property
    def password(self) -> str:
        return self.password_file.read_text().strip()

    def dsn(self, port: int) -> str:
        return f"postgresql://{SUPERUSER}:{self.password}@127.0.0.1:{port}/{DATABASE}"

    @property
    def port(self) -> int | None:
        """The port of the last start, or None before the first."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            return int(self._port_file.read_text())
        return None

    @port.setter
    def port(self, port: int) -> None:
        if port != self.port:
            self._port_file.write_text(f"{port}\n")

    def log_size(self) -> int:
        """Bytes in Postgres's log."""
        return self.log.stat().st_size if self.log.exists() else 0

    def log_tail(self, offset: int = 0, lines: int = 12) -> str:
        """Return the last `lines` lines of the log after its first `offset` bytes."""
        with contextlib.suppress(FileNotFoundError), self.log.open("rb") as file:
            file.seek(max(offset, self.log_size() - 16_384))
            return "\n".join(file.read().decode(errors="replace").strip().splitlines()[-lines:])
        return ""
