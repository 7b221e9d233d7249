"""Redis on its own: who may enter, and what it survives."""

import os
import signal
from pathlib import Path

import psutil
import pytest
import redis
from redis.exceptions import AuthenticationError

from tests.embedded.conftest import eventually
from webapp.embedded import EmbeddedError, Redis, binaries, running_redis

pytestmark = pytest.mark.processes


def answers(server: Redis) -> bool:
    with redis.Redis.from_url(server.url) as client:
        return bool(client.ping())


def test_it_asks_for_the_password_and_shows_it_to_nobody(folder: Path) -> None:
    with running_redis(folder) as server:
        assert answers(server)
        with redis.Redis(port=server.port) as stranger, pytest.raises(AuthenticationError):
            stranger.ping()
        password = (folder / "password").read_text()
        assert password not in " ".join(psutil.Process(server.pid).cmdline())
        assert (folder / "password").stat().st_mode & 0o077 == 0


def test_it_listens_on_loopback_only_and_writes_nothing_down(folder: Path) -> None:
    with running_redis(folder) as server, redis.Redis.from_url(server.url) as client:
        configuration = client.config_get("*")
        assert configuration["bind"] == "127.0.0.1"
        assert (configuration["save"], configuration["appendonly"]) == ("", "no")


def test_a_second_start_has_the_same_address(folder: Path) -> None:
    with running_redis(folder) as first:
        pass
    with running_redis(folder) as second:
        assert second.url == first.url


@pytest.mark.parametrize("by_whom", ["us", "others"])
def test_it_can_be_killed_and_started_again(folder: Path, by_whom: str) -> None:
    with running_redis(folder) as server:
        if by_whom == "us":
            server.kill9()
        else:
            os.kill(server.pid, signal.SIGKILL)
        assert eventually(lambda: not server.is_running)
        server.start()
        assert answers(server)


def test_two_starts_in_one_folder_are_one_too_many(folder: Path) -> None:
    with (
        running_redis(folder),
        pytest.raises(EmbeddedError, match="in use"),
        running_redis(folder),
    ):
        pytest.fail("the second start was let in")


def test_where_there_is_no_redis_the_cure_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "_redis_on_path", lambda: None)
    monkeypatch.setattr(binaries, "_redis_in_wheel", lambda: None)
    with (
        pytest.raises(EmbeddedError, match="install redis-server or valkey-server"),
        running_redis(folder),
    ):
        pytest.fail("it started without a program")
