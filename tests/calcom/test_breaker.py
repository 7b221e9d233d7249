"""Five failures in a row stop a company's calls for a minute; then one call tries for all."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis

from webapp.calcom.breaker import (
    Breaker,
    BreakerState,
    Circuit,
    Fuse,
    breaker_state,
    is_failure,
)
from webapp.calcom.errors import CircuitOpen
from webapp.embedded import Servers

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
FUSE = Fuse(failures=5, open_seconds=60, trial_seconds=12)
COMPANY = 7


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.fixture
def worker(redis: Redis, servers: Servers) -> Iterator[Callable[[], Breaker]]:
    """Makes workers, each with a connection of its own."""
    with ExitStack() as stack:

        def make() -> Breaker:
            own = stack.enter_context(Redis.from_url(servers.redis_url))
            return Breaker(own, COMPANY, FUSE)

        yield make


def test_the_fifth_failure_in_a_row_opens_it_for_every_worker(
    worker: Callable[[], Breaker],
) -> None:
    one, other = worker(), worker()
    opened = [each.note_failure(NOW) for each in (one, other, one, other)]
    one.admit(NOW)

    assert [*opened, one.note_failure(NOW)] == [False] * 4 + [True]

    # Each has its own turn: else all who wait would wake together.
    for each, wait in ((one, 40), (other, 41)):
        with pytest.raises(CircuitOpen) as refused:
            each.admit(after(20))
        assert refused.value.retry_after_seconds == pytest.approx(wait)


def test_an_answer_in_between_begins_the_count_anew(worker: Callable[[], Breaker]) -> None:
    one = worker()
    for _ in range(4):
        one.note_failure(NOW)
    assert one.note_answer() is False

    assert [one.note_failure(NOW) for _ in range(5)] == [False] * 4 + [True]


def test_of_many_workers_at_once_one_makes_the_trial(worker: Callable[[], Breaker]) -> None:
    _open(worker())
    workers = [worker() for _ in range(16)]

    with ThreadPoolExecutor(16) as pool:
        admitted = list(pool.map(lambda each: _is_admitted(each, after(61)), workers))

    assert admitted.count(True) == 1


def test_a_trial_that_is_answered_closes_it(worker: Callable[[], Breaker]) -> None:
    one, other = worker(), worker()
    _open(one)
    other.admit(after(60))

    assert other.note_answer() is True

    one.admit(after(60))
    assert one.note_failure(after(60)) is False, "the count begins anew"


def test_a_trial_that_fails_opens_it_again(worker: Callable[[], Breaker], redis: Redis) -> None:
    one, other = worker(), worker()
    _open(one)
    other.admit(after(60))

    assert other.note_failure(after(63)) is True

    assert not _is_admitted(one, after(122))
    assert breaker_state(redis, COMPANY, after(122)).opened_at == NOW
    assert _is_admitted(one, after(123))


def test_a_trial_that_nobody_reports_on_lapses(worker: Callable[[], Breaker]) -> None:
    one, dying, other = worker(), worker(), worker()
    _open(one)
    dying.admit(after(60))

    assert not _is_admitted(other, after(71))
    assert _is_admitted(other, after(72))
    assert dying.note_answer() is False, "the trial is another's by now"


def test_what_began_before_it_opened_changes_nothing(
    worker: Callable[[], Breaker], redis: Redis
) -> None:
    late = worker()
    late.admit(NOW)
    _open(worker())

    assert late.note_answer() is False
    assert late.note_failure(after(30)) is False
    assert breaker_state(redis, COMPANY, after(30)).open_until == after(60)


def test_a_trial_given_back_is_another_workers(worker: Callable[[], Breaker]) -> None:
    one, other = worker(), worker()
    _open(one)
    one.admit(after(60))
    other.give_back()
    assert not _is_admitted(other, after(60)), "only who holds the trial can give it back"

    one.give_back()

    assert _is_admitted(other, after(60))


def test_its_state_can_be_read(worker: Callable[[], Breaker], redis: Redis) -> None:
    one = worker()
    assert breaker_state(redis, COMPANY, NOW) == BreakerState(Circuit.CLOSED)
    one.note_failure(NOW)
    assert breaker_state(redis, COMPANY, NOW) == BreakerState(Circuit.CLOSED, 1)

    _open(one, failures=4)

    assert breaker_state(redis, COMPANY, after(59)) == BreakerState(Circuit.OPEN, 5, NOW, after(60))
    assert breaker_state(redis, COMPANY, after(60)).circuit is Circuit.TRIAL
    assert breaker_state(redis, COMPANY + 1, NOW).circuit is Circuit.CLOSED


def test_a_closed_breaker_leaves_nothing_behind(
    worker: Callable[[], Breaker], redis: Redis
) -> None:
    one = worker()
    _open(one)
    one.admit(after(60))
    one.note_answer()

    assert redis.keys() == []


@pytest.mark.parametrize("code", ["TIMEOUT", "CONNECTION", "HTTP_500", "HTTP_503"])
def test_silence_and_trouble_count_as_failures(code: str) -> None:
    assert is_failure(code)


@pytest.mark.parametrize(
    "code", [None, "RATE_LIMITED", "UNAUTHORIZED", "HTTP_404", "SLOT_UNAVAILABLE", "PROTOCOL"]
)
def test_an_answer_of_calcoms_own_does_not(code: str | None) -> None:
    assert not is_failure(code)


def _open(breaker: Breaker, failures: int = 5) -> None:
    for _ in range(failures):
        breaker.note_failure(NOW)


def _is_admitted(breaker: Breaker, now: datetime) -> bool:
    try:
        breaker.admit(now)
    except CircuitOpen:
        return False
    return True
