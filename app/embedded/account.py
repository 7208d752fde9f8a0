"""The system account Postgres runs as: ours, or an unprivileged one when we are root, whom Postgres refuses."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.errors import ConfigurationError

CANDIDATES = ("postgres", "nobody")

# The API keys in our environment are none of Postgres's business, and PGOPTIONS and its kin must not steer it.
_KEPT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR")


@dataclass(frozen=True, slots=True)
class Account:
    """Whom child processes run as; `switched` when that is somebody else than us (only root can)."""

    name: str
    uid: int
    gid: int
    switched: bool

    def give(self, path: Path) -> None:
        """Make this account the owner of `path`, a file or folder that we have just created."""
        if self.switched:
            os.chown(path, self.uid, self.gid)

    def run(self, command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
        """Run a program to its end as this account. Its output is captured; a program out of reach is exit code 126."""
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
                # Our working directory may be one that the account cannot enter.
                cwd="/",
                env=environment(),
                umask=0o077,
            )
        except (PermissionError, FileNotFoundError) as error:
            return subprocess.CompletedProcess(command, 126, "", str(error))

    def spawn(self, command: Sequence[str | Path], log: int) -> subprocess.Popen[bytes]:
        """Start a program that stays, in a session of its own, writing to the file descriptor `log`."""
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
            # Ctrl-C reaches the terminal's whole process group, but the proxy still needs the database while it drains.
            start_new_session=True,
        )

    def can_write(self, folder: Path) -> bool:
        """Whether this account really gets into `folder` and may write there: tried, not computed from modes."""
        return self.run(["/bin/sh", "-c", 'cd "$1" && test -w .', "sh", folder]).returncode == 0


def account_for(data: Path) -> Account:
    """Choose the account for the data folder `data`, which need not exist yet.

    Not root: ourselves. Root: the owner of an existing cluster unless that is root too, else the first of `CANDIDATES`
    that this system has. Raises `ConfigurationError` where there is none, or where we may not become it.
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
            f"Postgres refuses to run as root, and this process may not become the user {account.name} ({reason}): "
            "start pgrouter as an ordinary user, or set DATABASE_URL."
        )
    return account


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of Postgres's programs: what they need of ours, messages in English, and `extra`."""
    return {name: os.environ[name] for name in _KEPT if name in os.environ} | {"LC_ALL": "C"} | dict(extra or {})


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
