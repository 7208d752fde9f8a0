"""The system account of Postgres: that of this process, or an unprivileged one if this process is root."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigurationError

#: Accounts to use instead of root, which Postgres refuses, in order of preference.
CANDIDATES = ("postgres", "nobody")

# Environment variables for Postgres: no API keys, and no PGOPTIONS or other PG* that would configure it.
_INHERITED = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR")


@dataclass(frozen=True, slots=True)
class Account:
    """An account for child processes; `switched`: it is another than this process's, which requires root."""

    name: str
    uid: int
    gid: int
    switched: bool

    def chown(self, path: Path) -> None:
        """Make this account the owner of `path`, a file or folder that this process has just created."""
        if self.switched:
            os.chown(path, self.uid, self.gid)

    def run(self, command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
        """Run a program as this account and capture its output. The exit code is 126 if it cannot be started."""
        try:
            return subprocess.run(
                command,
                user=self.uid if self.switched else None,
                group=self.gid if self.switched else None,
                extra_groups=[] if self.switched else None,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                # The account may lack access to the current working directory.
                cwd="/",
                env=environment(),
                umask=0o077,
            )
        except (PermissionError, FileNotFoundError) as error:
            return subprocess.CompletedProcess(command, 126, "", str(error))

    def spawn(self, command: Sequence[str | Path], log: int) -> subprocess.Popen[bytes]:
        """Start a program in the background, in its own session, with its output to the file descriptor `log`."""
        return subprocess.Popen(
            command,
            user=self.uid if self.switched else None,
            group=self.gid if self.switched else None,
            extra_groups=[] if self.switched else None,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=environment(),
            umask=0o077,
            # Ctrl-C signals the terminal's whole process group, but the proxy needs the database until it has stopped.
            start_new_session=True,
        )

    def can_write(self, folder: Path) -> bool:
        """Whether this account can enter `folder` and write there: tried, not derived from permissions."""
        return self.run(["/bin/sh", "-c", 'cd "$1" && test -w .', "sh", folder]).returncode == 0


def account_for(data: Path) -> Account:
    """Select the account for the data folder `data`, which need not exist yet.

    If this process is not root, its own account. If it is root, the owner of an existing cluster, else the first of
    `CANDIDATES` that this system has. Raises `ConfigurationError` if there is none or if switching to it fails.
    """
    if os.geteuid() != 0:
        return Account(str(os.geteuid()), os.geteuid(), os.getegid(), switched=False)
    account = _owner(data) or _candidate()
    if account is None:
        raise ConfigurationError(
            f"Postgres refuses to run as root, and this system has no user {' or '.join(CANDIDATES)}: "
            "start pgrouter as an ordinary user, or set DATABASE_URL."
        )
    try:
        tried = account.run(["/bin/sh", "-c", ":"])
        reason = tried.stderr.strip() if tried.returncode else None
    except (OSError, subprocess.SubprocessError) as error:
        reason = str(error)
    if reason is not None:
        raise ConfigurationError(
            f"Postgres refuses to run as root, and this process cannot switch to the user {account.name} ({reason}): "
            "start pgrouter as an ordinary user, or set DATABASE_URL."
        )
    return account


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for Postgres's programs: a few inherited variables, English messages, and `extra`."""
    return {name: os.environ[name] for name in _INHERITED if name in os.environ} | {"LC_ALL": "C"} | dict(extra or {})


def _owner(data: Path) -> Account | None:
    if not (data / "PG_VERSION").exists():
        return None
    status = data.stat()
    if status.st_uid == 0:
        return None
    try:
        name = pwd.getpwuid(status.st_uid).pw_name
    except KeyError:
        name = str(status.st_uid)
    return Account(name, status.st_uid, status.st_gid, switched=True)


def _candidate() -> Account | None:
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid, switched=True)
    return None
