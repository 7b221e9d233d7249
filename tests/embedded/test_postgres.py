"""PostgreSQL on its own: who may enter, and what it survives."""

import os
import signal
import socket
import subprocess
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.embedded.conftest import AWKWARD, eventually
from webapp.embedded import EmbeddedError, Postgres, running_postgres
from webapp.embedded.account import server_account

pytestmark = pytest.mark.processes


def ask(url: str, question: str) -> object:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        row = connection.execute(question).fetchone()
    return row[0] if row and len(row) == 1 else row


def remember(server: Postgres) -> None:
    with psycopg.connect(server.database_owner_url.replace("+psycopg", "")) as connection:
        connection.execute("CREATE TABLE memory AS SELECT 'kept' AS word")


def recall(server: Postgres) -> object:
    return ask(server.database_owner_url, "SELECT word FROM memory")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> object:
    with running_postgres(tmp_path_factory.mktemp("pg") / AWKWARD, durable=False) as server:
        yield server


MIGHT = (
    "SELECT rolsuper OR rolbypassrls OR rolcreaterole FROM pg_roles WHERE rolname = current_user"
)


def test_neither_role_is_mighty(running: Postgres) -> None:
    assert ask(running.database_url, MIGHT) is False
    assert ask(running.database_owner_url, MIGHT) is False


def test_the_owner_owns_database_and_schema_and_the_app_nothing(running: Postgres) -> None:
    owners = (
        "SELECT (SELECT datdba::regrole::text FROM pg_database WHERE datname = current_database()),"
        " (SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'public')"
    )
    assert ask(running.database_url, owners) == ("lockstep_owner", "lockstep_owner")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        ask(running.database_url, "CREATE TABLE mine ()")


def test_it_speaks_utf8_and_utc_and_sorts_alike_everywhere(running: Postgres) -> None:
    question = (
        "SELECT current_setting('TimeZone'), current_setting('server_encoding'), datcollate"
        " FROM pg_database WHERE datname = current_database()"
    )
    assert ask(running.database_url, question) == ("UTC", "UTF8", "C")


def test_it_listens_on_loopback_only_and_asks_for_the_password(running: Postgres) -> None:
    assert ask(running.database_url, "SHOW listen_addresses") == "127.0.0.1"
    assert ask(running.admin_url, "SHOW unix_socket_directories") == ""
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(running.admin_url, password="guessed")


def test_secrets_are_kept_from_others(running: Postgres, tmp_path: Path) -> None:
    with running_postgres(tmp_path / "own", durable=False):
        assert (tmp_path / "own" / "passwords.json").stat().st_mode & 0o077 == 0
    assert "password" not in " ".join(psutil.Process(running.pid).cmdline())


def test_a_second_start_keeps_data_port_and_passwords(folder: Path) -> None:
    with running_postgres(folder) as first:
        remember(first)
    with running_postgres(folder) as second:
        assert recall(second) == "kept"
        assert second.database_url == first.database_url


def test_a_taken_port_is_replaced(folder: Path) -> None:
    with running_postgres(folder, durable=False) as server, socket.socket() as intruder:
        server.stop()
        intruder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        intruder.bind(("127.0.0.1", server.port))
        intruder.listen()
        server.start()
        assert server.port != intruder.getsockname()[1]
        assert ask(server.database_url, "SELECT 1") == 1


def test_it_can_be_killed_and_started_again(folder: Path) -> None:
    with running_postgres(folder, durable=False) as server:
        remember(server)
        server.kill9()
        assert not server.is_running
        server.start()
        assert recall(server) == "kept"


def test_a_postmaster_killed_from_outside_is_noticed(folder: Path) -> None:
    with running_postgres(folder, durable=False) as server:
        remember(server)
        os.kill(server.pid, signal.SIGKILL)
        assert eventually(lambda: not server.is_running)
        server.start()
        assert recall(server) == "kept"


def test_a_pid_file_that_names_a_strangers_process_is_no_obstacle(folder: Path) -> None:
    account = server_account()
    with running_postgres(folder, durable=False) as server:
        data = Path(psutil.Process(server.pid).cwd())
        lock = (data / "postmaster.pid").read_text().splitlines()
        server.kill9()
        with subprocess.Popen(["/bin/sleep", "60"], **account.popen) as stranger:
            (data / "postmaster.pid").write_text("\n".join([str(stranger.pid), *lock[1:]]))
            server.start()
            assert ask(server.database_url, "SELECT 1") == 1
            assert stranger.poll() is None
            stranger.kill()


def test_an_interrupted_initdb_is_done_again(folder: Path) -> None:
    folder.mkdir()
    with running_postgres(folder, durable=False) as server:
        data = Path(psutil.Process(server.pid).cwd())
        server.stop()
        data.rename(data.with_name("data.new"))
        (data.with_name("data.new") / "PG_VERSION").unlink()
        server.start()
        assert ask(server.database_url, "SELECT 1") == 1


def test_two_starts_in_one_folder_are_one_too_many(folder: Path) -> None:
    with (
        running_postgres(folder, durable=False),
        pytest.raises(EmbeddedError, match=r"in use.*already running"),
        running_postgres(folder, durable=False),
    ):
        pytest.fail("the second start was let in")


def test_data_of_another_version_is_named_with_the_cure(folder: Path) -> None:
    with running_postgres(folder, durable=False) as server:
        data = Path(psutil.Process(server.pid).cwd())
        server.stop()
        (data / "PG_VERSION").write_text("9\n")
        with pytest.raises(EmbeddedError, match=r"PostgreSQL 9, .*make demo-reset"):
            server.start()


def test_nothing_is_left_of_a_hasty_server(folder: Path) -> None:
    with running_postgres(folder, durable=False) as server:
        data, pid = Path(psutil.Process(server.pid).cwd()), server.pid
    assert not psutil.pid_exists(pid)
    assert not data.exists()
