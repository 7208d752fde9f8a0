"""The data folder of a home: in the home, or in a shared folder if Postgres's account cannot access the home."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from ..errors import ConfigurationError
from . import programs
from .account import Account
from .postmaster import Postmaster

_TEMPORARY = "postgres.new-"


def data_of(home: Path) -> Path:
    """Return the data folder of `home`: home/postgres, or the target of that link. It need not exist yet."""
    return (home / "postgres").resolve()


def shared_data_of(home: Path) -> Path:
    """Return the data folder in `programs.SHARED` for a `home`, derived from its path."""
    return programs.SHARED.resolve() / hashlib.sha256(os.fsencode(home.resolve())).hexdigest()[:12] / "postgres"


def shared_cluster_of(home: Path) -> Path | None:
    """Return the cluster of `home` in `programs.SHARED`, if there is one; only root creates them there."""
    data = shared_data_of(home)
    return data if os.geteuid() == 0 and is_cluster(data) else None


def temporary_folder(home: Path, account: Account, report: Callable[[str], None]) -> tuple[Path, Path]:
    """Return a data folder that `account` can access, and a new temporary folder beside it that `account` owns.

    Access is tried, not derived from permissions. Raises `ConfigurationError` if there is no such folder.
    """
    temporary = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=home))
    try:
        account.chown(temporary)
        reached = account.can_write(temporary)
    except PermissionError:
        reached = False  # a file system on which root cannot change owners
    if reached:
        return home.resolve() / "postgres", temporary
    temporary.rmdir()
    data = shared_data_of(home)
    if account.switched:
        report(f"The user {account.name}, under which Postgres runs, cannot enter {home}; its data goes to {data}.")
        programs.shared_folder()
        data.parent.mkdir(exist_ok=True)
        sweep(data.parent)
        # Other users may only pass through.
        data.parent.chmod(0o711)
        temporary = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir=data.parent))
        account.chown(temporary)
        if account.can_write(temporary):
            return data, temporary
        temporary.rmdir()
    raise ConfigurationError(
        f"The user {account.name}, under which Postgres runs, cannot write in {home}: "
        "set PGROUTER_HOME to another folder, or DATABASE_URL to a Postgres of your own."
    )


def move_aside(data: Path, report: Callable[[str], None]) -> None:
    """Rename what exists at `data`, without deleting it: it may be the database of a home that was deleted."""
    if data.is_symlink():
        data.unlink()
    if data.exists() and any(data.iterdir()):
        stop(data)
        names = (data.with_name(f"postgres.kept-{n}") for n in itertools.count(1))
        kept = next(path for path in names if not path.exists())
        os.rename(data, kept)
        report(f"{data} contained other files; they are kept in {kept} until you delete them.")


def is_cluster(data: Path) -> bool:
    return (data / "PG_VERSION").exists()


def stop(data: Path) -> None:
    if server := Postmaster.find(data):
        server.stop(timeout=30.0)


def sweep(folder: Path) -> None:
    """Delete the temporary folders of interrupted creations in `folder`."""
    for leftover in folder.glob(f"{_TEMPORARY}*"):
        shutil.rmtree(leftover, ignore_errors=True)


def link(home: Path, data: Path) -> None:
    (home / "postgres").unlink(missing_ok=True)
    (home / "postgres").symlink_to(data)
