"""All workers together make no more calls on a key than Cal.com lets them, people's first."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis

from webapp.calcom.budget import Allowance, Budget, BudgetState, budget_name, budget_state
from webapp.calcom.errors import BudgetSpent
from webapp.calcom.rate_limits import RateLimit
from webapp.embedded import Servers

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
ALLOWANCE = Allowance(calls=10, people_share=0.4)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


@pytest.fixture
def budget(redis: Redis) -> Budget:
    return _budget(redis)


def test_no_sixty_seconds_hold_more_calls_than_the_budget(budget: Budget) -> None:
    made = [second for second in range(180) if _wait(budget, after(second)) is None]

    for second in range(180):
        assert len([each for each in made if second - 60 < each <= second]) <= 10
    assert len(made) == 30


def test_two_workers_share_it(budget: Budget, servers: Servers) -> None:
    with Redis.from_url(servers.redis_url) as own, ThreadPoolExecutor(8) as pool:
        other = Budget(own, budget.name, ALLOWANCE)
        waits = list(pool.map(lambda each: _wait(each, NOW), [budget, other] * 10))

    assert waits.count(None) == 10


def test_who_waits_is_told_when_a_call_comes_free(budget: Budget) -> None:
    for second in range(10):
        budget.take(after(second), is_sweep=False)

    assert _wait(budget, after(20)) == pytest.approx(40)
    assert _wait(budget, after(60)) is None


def test_those_who_wait_get_their_turns_one_by_one(budget: Budget) -> None:
    for _ in range(10):
        budget.take(NOW, is_sweep=False)

    waits = [_wait(budget, NOW) for _ in range(4)]

    assert waits == pytest.approx([60, 66, 72, 78])


def test_turns_reach_as_far_as_the_queue_is_long_for_half_an_hour(budget: Budget) -> None:
    """Whoever wakes before a call is free for it wakes in vain, and keeps a worker busy."""
    for _ in range(10):
        budget.take(NOW, is_sweep=False)

    waits = [_wait(budget, NOW) or 0 for _ in range(302)]

    assert waits[:301] == pytest.approx([60 + 6 * number for number in range(301)])
    assert waits[301] == pytest.approx(60), "then they begin anew"


def test_sweeps_stop_before_people_do(budget: Budget) -> None:
    sweeps = [_wait(budget, NOW, is_sweep=True) for _ in range(8)]
    people = [_wait(budget, NOW) for _ in range(6)]

    assert [each is None for each in sweeps] == [True] * 6 + [False] * 2
    assert [each is None for each in people] == [True] * 4 + [False] * 2


def test_calls_of_people_count_against_sweeps(budget: Budget) -> None:
    for _ in range(6):
        budget.take(NOW, is_sweep=False)

    assert _wait(budget, NOW, is_sweep=True) is not None


@pytest.mark.parametrize(("announced", "limit"), [(120, 99), (6, 4), (1200, 996), (0, 1)])
def test_the_announced_limit_is_learnt_and_kept_well_below(
    budget: Budget, announced: int, limit: int
) -> None:
    budget.learn(RateLimit(limit=announced), NOW)

    assert budget_state(budget, NOW).limit == limit
    assert _calls_until_refused(budget) == limit


def test_what_others_used_of_the_key_counts_until_the_reset(budget: Budget) -> None:
    budget.learn(RateLimit(limit=12, remaining=4, reset_seconds=30), NOW)

    budget.take(NOW, is_sweep=False)

    assert _wait(budget, after(10)) == pytest.approx(20), "9 of 12 are ours to use, and used"
    assert _wait(budget, after(30)) is None


def test_an_answer_overtaken_by_a_later_one_gives_no_calls_back(budget: Budget) -> None:
    budget.learn(RateLimit(limit=12, remaining=3, reset_seconds=30), NOW)
    budget.learn(RateLimit(limit=12, remaining=9, reset_seconds=30), after(0.5))

    assert _wait(budget, after(1)) == pytest.approx(29, abs=1)


def test_a_429_pauses_the_key_until_its_reset_for_all_workers(redis: Redis, budget: Budget) -> None:
    budget.learn(RateLimit(), NOW, pause_seconds=45)
    budget.learn(RateLimit(), NOW, pause_seconds=5)

    assert _wait(_budget(redis), after(5)) == pytest.approx(40)
    assert budget_state(budget, after(5)).paused_until == after(45)
    assert _wait(_budget(redis), after(45)) is None


def test_a_429_for_one_key_does_not_hold_another(redis: Redis, budget: Budget) -> None:
    budget.learn(RateLimit(), NOW, pause_seconds=45)

    assert _wait(_budget(redis, "cal_other"), NOW) is None


def test_the_key_itself_is_not_in_redis(redis: Redis, budget: Budget) -> None:
    budget.take(NOW, is_sweep=True)
    budget.learn(RateLimit(limit=120), NOW)

    assert redis.keys()
    assert not [name for name in redis.keys("*") if b"cal_" in name]
    assert budget_name("cal.example", "cal_1") != budget_name("cal.example", "cal_2")
    assert budget_name("cal.example", "cal_1") != budget_name("other.example", "cal_1")


def test_its_state_can_be_read(budget: Budget) -> None:
    assert budget_state(budget, NOW) == BudgetState(limit=10, used=0)
    budget.take(NOW, is_sweep=False)

    assert budget_state(budget, after(59)) == BudgetState(limit=10, used=1)
    assert budget_state(budget, after(60)) == BudgetState(limit=10, used=0)


def _budget(redis: Redis, key: str = "cal_sonnenschein") -> Budget:
    return Budget(redis, budget_name("api.cal.com", key), ALLOWANCE)


def _wait(budget: Budget, now: datetime, *, is_sweep: bool = False) -> float | None:
    """Takes a call; the seconds to wait where there is none."""
    try:
        budget.take(now, is_sweep=is_sweep)
    except BudgetSpent as spent:
        return spent.retry_after_seconds
    return None


def _calls_until_refused(budget: Budget) -> int:
    made = 0
    while _wait(budget, NOW) is None:
        made += 1
    return made
