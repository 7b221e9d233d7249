"""The demo as its user meets it: one line when ready, and nothing left however it ends."""

import os
import signal
import socket
from urllib.request import urlopen

import psutil
import pytest

from tests.processes.conftest import Start, eventually
from webapp.supervisor.environment import read_environment

pytestmark = pytest.mark.processes


def test_it_says_when_it_is_ready_and_nothing_before(start_demo: Start) -> None:
    demo = start_demo()
    assert demo.wait_until_ready() == f"Lockstep is ready: http://127.0.0.1:{demo.port}\n"
    with urlopen(f"http://127.0.0.1:{demo.port}/healthz") as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, signal.SIGINT, pytest.param(signal.SIGHUP, marks=pytest.mark.long)],
)
def test_a_signal_stops_everything_in_order(start_demo: Start, number: signal.Signals) -> None:
    demo = start_demo()
    demo.wait_until_ready()
    demo.process.send_signal(number)
    code, _, told = demo.wait()
    assert (code, "Everything has stopped." in told) == (0, True)
    assert demo.everything_is_gone()


@pytest.mark.long
def test_repeated_signals_do_not_disturb_the_end(start_demo: Start) -> None:
    demo = start_demo("stubborn")
    demo.wait_until_ready()
    for _ in range(3):
        demo.process.send_signal(signal.SIGINT)
    assert demo.wait()[0] == 0
    assert demo.everything_is_gone()


@pytest.mark.long
def test_a_signal_during_the_start_stops_everything(start_demo: Start) -> None:
    demo = start_demo()
    assert demo.process.stderr is not None
    while demo.process.stderr.readline() != "Starting Redis\n":
        pass
    demo.tree = psutil.Process(demo.process.pid).children(recursive=True)
    demo.process.send_signal(signal.SIGTERM)
    assert demo.wait()[0] == 0
    assert demo.everything_is_gone()


@pytest.mark.long
def test_a_killed_supervisor_takes_everything_along(start_demo: Start) -> None:
    demo = start_demo()
    demo.wait_until_ready()
    demo.process.kill()
    assert demo.everything_is_gone(8)


def test_after_a_kill_the_next_start_can_follow_at_once(start_demo: Start) -> None:
    first = start_demo()
    first.wait_until_ready()
    first.process.kill()
    second = start_demo()
    assert second.wait_until_ready().startswith("Lockstep is ready")
    assert first.everything_is_gone()
    assert all(process.is_running() for process in second.tree)


@pytest.mark.long
def test_what_was_left_when_the_guardians_were_killed_too_is_ended(start_demo: Start) -> None:
    first = start_demo()
    first.wait_until_ready()
    circle = [psutil.Process(first.process.pid), *psutil.Process(first.process.pid).children()]
    for process in circle:
        process.suspend()  # so that none notices the end of another
    for process in circle:
        process.kill()
    second = start_demo()
    second.wait_until_ready()
    assert first.everything_is_gone()


def test_a_second_demo_in_the_same_folder_is_refused(start_demo: Start) -> None:
    first = start_demo()
    first.wait_until_ready()
    code, said, told = start_demo().wait()
    assert (code, said) == (1, "")
    assert "is in use: Lockstep is already running there" in told
    assert all(process.is_running() for process in first.tree)


@pytest.mark.long
def test_data_and_keys_outlive_a_restart_unless_told_otherwise(start_demo: Start) -> None:
    kept = []
    for words in ([], [], ["--fresh"]):
        demo = start_demo(*words)
        demo.wait_until_ready()
        kept.append(read_environment(demo.folder / "environment"))
        assert (demo.folder / "environment").stat().st_mode & 0o077 == 0
        demo.process.terminate()
        demo.wait()
    assert kept[0] == kept[1]
    assert {kept[1][name] == kept[2][name] for name in ("SECRET_KEY", "DATABASE_URL")} == {False}


@pytest.mark.long
def test_fresh_removes_only_what_is_the_demos(start_demo: Start) -> None:
    demo = start_demo("--fresh")
    demo.folder.mkdir(exist_ok=True)
    (demo.folder / "diary.txt").write_text("mine")
    demo.wait_until_ready()
    assert (demo.folder / "diary.txt").read_text() == "mine"


def test_a_port_in_use_is_named_with_the_variable(start_demo: Start) -> None:
    with socket.socket() as intruder:
        intruder.bind(("127.0.0.1", 0))
        intruder.listen()
        port = intruder.getsockname()[1]
        code, said, told = start_demo(PORT=str(port)).wait()
    assert (code, said) == (1, "")
    assert f"Port {port} for web is in use" in told
    assert "make demo PORT=" in told


@pytest.mark.parametrize(
    ("word", "complaint"),
    [("dying", "worker-1 ended at once (exit code 3)"), ("failing", "migrations failed")],
)
def test_a_failing_start_shows_the_log_and_leaves_nothing(
    start_demo: Start, word: str, complaint: str
) -> None:
    demo = start_demo(word)
    code, said, told = demo.wait()
    assert (code, said) == (1, "")
    assert complaint in told
    assert ("out of hay" in told) or ("column missing" in told)
    assert not [p for p in psutil.process_iter() if _belongs_to(p, str(demo.folder))]


def test_a_nonsense_port_is_named(start_demo: Start) -> None:
    code, _, told = start_demo(PORT="eighty").wait()
    assert code == 1
    assert "PORT is 'eighty'" in told


@pytest.mark.long
@pytest.mark.parametrize("name", ["redis-server", "postgres", "http.server"])
def test_what_dies_is_started_again(start_demo: Start, name: str) -> None:
    demo = start_demo()
    demo.wait_until_ready()
    victim = demo.find(name)
    assert victim is not None
    os.kill(victim, signal.SIGKILL)
    # A server's children outlive it for a moment, so a living one alone proves no new start.
    known = {process.pid for process in demo.tree}
    assert eventually(lambda: demo.find(name, other_than=known) is not None)
    demo.tree = psutil.Process(demo.process.pid).children(recursive=True)
    demo.process.terminate()
    assert "starting it again" in demo.wait()[2]
    assert demo.everything_is_gone()


def test_given_servers_are_used_and_none_embedded(start_demo: Start) -> None:
    demo = start_demo("failing", DATABASE_URL="postgresql://h/d", REDIS_URL="redis://h")
    code, _, told = demo.wait()
    assert code == 1
    assert "DATABASE_OWNER_URL" in told
    assert "Starting" not in told


def _belongs_to(process: psutil.Process, folder: str) -> bool:
    try:
        return folder in process.environ().get("LOCKSTEP_KEPT_BY", "")
    except (psutil.Error, OSError):
        return False
