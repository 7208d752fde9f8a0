"""Where the cluster of a home lies: in it, or, where Postgres's account cannot get there, in a place both can reach."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from app.embedded import programs
from app.embedded.account import Account
from app.embedded.postmaster import Postmaster
from app.errors import ConfigurationError

_WORKSHOP = "postgres.new-"


def data_of(home: Path) -> Path:
    """The data folder of `home`: home/postgres, or what that links to. It need not exist yet."""
    return (home / "postgres").resolve()


def elsewhere(home: Path) -> Path:
    """The data folder of a `home` that Postgres's account cannot enter; the same for the same home."""
    return programs.SHARED.resolve() / hashlib.sha256(os.fsencode(home.resolve())).hexdigest()[:12] / "postgres"


def found_elsewhere(home: Path) -> Path | None:
    """The cluster that lies at `elsewhere(home)`, if one does; only root puts one there."""
    data = elsewhere(home)
    return data if os.geteuid() == 0 and is_cluster(data) else None


def workshop(home: Path, account: Account, say: Callable[[str], None]) -> tuple[Path, Path]:
    """Where the data folder can be, and a new folder beside it that `account` owns; whether it gets there is tried."""
    made = Path(tempfile.mkdtemp(prefix=_WORKSHOP, dir=home))
    try:
        account.give(made)
        reached = account.can_write(made)
    except PermissionError:
        reached = False  # a file system on which root cannot give files away
    if reached:
        return home.resolve() / "postgres", made
    made.rmdir()
    data = elsewhere(home)
    if account.switched:
        say(f"The user {account.name}, as whom Postgres runs, cannot enter {home}; the database goes to {data}.")
        programs.shared_folder()
        data.parent.mkdir(exist_ok=True)
        sweep(data.parent)
        # Passing through is all that anybody else may do there.
        data.parent.chmod(0o711)
        made = Path(tempfile.mkdtemp(prefix=_WORKSHOP, dir=data.parent))
        account.give(made)
        if account.can_write(made):
            return data, made
        made.rmdir()
    raise ConfigurationError(
        f"The user {account.name}, as whom Postgres would run, cannot write in {home}: "
        "set PGROUTER_HOME to another folder, or DATABASE_URL to a Postgres of your own."
    )


def make_way(data: Path, say: Callable[[str], None]) -> None:
    """Move away what lies at `data`, deleting nothing: it may be the database of a home that was deleted."""
    if data.is_symlink():
        data.unlink()
    if data.exists() and any(data.iterdir()):
        stop(data)
        names = (data.with_name(f"postgres.kept-{n}") for n in itertools.count(1))
        kept = next(path for path in names if not path.exists())
        os.rename(data, kept)
        say(f"{data} held something else; it is kept as {kept} until you delete it.")


def is_cluster(data: Path) -> bool:
    return (data / "PG_VERSION").exists()


def stop(data: Path) -> None:
    if server := Postmaster.find(data):
        server.stop(patience=30.0)


def sweep(folder: Path) -> None:
    """Remove what an interrupted creation left in `folder`."""
    for left in folder.glob(f"{_WORKSHOP}*"):
        shutil.rmtree(left, ignore_errors=True)


def link(home: Path, data: Path) -> None:
    (home / "postgres").unlink(missing_ok=True)
    (home / "postgres").symlink_to(data)
