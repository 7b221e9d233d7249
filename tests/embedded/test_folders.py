"""Whose folder it is, and where root's servers live."""

import os
from pathlib import Path

import psutil
import pytest

from webapp.embedded import EmbeddedError, running_postgres
from webapp.embedded.account import reachable, server_account
from webapp.embedded.folders import choose_port, claimed, write_private

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="about what root does")


def test_a_claim_ends_with_its_holder_and_leaves_no_file(tmp_path: Path) -> None:
    with claimed(tmp_path / "claimed"):
        pass
    with claimed(tmp_path / "claimed") as folder:
        assert list(folder.iterdir()) == []


def test_a_private_file_is_private_whatever_was_there(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o600)


def test_a_free_port_is_kept_and_a_broken_memory_forgotten(tmp_path: Path) -> None:
    port = choose_port(tmp_path / "port")
    assert choose_port(tmp_path / "port") == port
    (tmp_path / "port").write_text("nonsense")
    assert choose_port(tmp_path / "port") > 0


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedError, match="can't be used"), claimed(tmp_path / "file" / "in"):
        pytest.fail("it was claimed")


@as_root
def test_a_folder_of_somebody_else_is_refused_with_the_cure(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, -1)
    with pytest.raises(EmbeddedError, match=r"belongs to .*DEMO_DIR="), claimed(tmp_path):
        pytest.fail("it was claimed")


@as_root
@pytest.mark.processes
def test_roots_closed_folder_stays_closed_and_the_data_lives_elsewhere(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with running_postgres(tmp_path / "pg") as server:
        process = psutil.Process(server.pid)
        assert process.uids().real == server_account().uid != 0
        assert not Path(process.cwd()).is_relative_to(tmp_path)
        home = Path(process.cwd()).parent
        assert (home.stat().st_uid, home.stat().st_mode & 0o777) == (0, 0o755)
    assert tmp_path.stat().st_mode & 0o777 == 0o700
    with running_postgres(tmp_path / "pg", durable=False) as again:
        assert Path(psutil.Process(again.pid).cwd()).parent == home
    assert not home.exists()


@as_root
def test_programs_that_the_account_cannot_reach_are_copied_once(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "tool").write_text(f"#!/bin/sh\n# {tmp_path}\n")
    (tmp_path / "bin" / "tool").chmod(0o700)
    account = server_account()
    copy = reachable(tmp_path, ["bin"], "bin/tool", account)
    try:
        assert copy != tmp_path
        assert account.reaches(copy / "bin" / "tool")
        first = (copy / "bin" / "tool").stat().st_ino
        assert reachable(tmp_path, ["bin"], "bin/tool", account) == copy
        assert (copy / "bin" / "tool").stat().st_ino == first
        (copy / "bin" / "tool").unlink()  # as a cleaner of old temporary files does
        reachable(tmp_path, ["bin"], "bin/tool", account)
        assert account.reaches(copy / "bin" / "tool")
    finally:
        (copy / "bin" / "tool").unlink()
        (copy / "bin").rmdir()
        copy.rmdir()
