"""How the way to Cal.com stands, for people: what breaker and budget hold back just now (S3.6)."""

from dataclasses import dataclass

from redis.exceptions import RedisError

from webapp import clock
from webapp.calcom.breaker import BreakerState, breaker_state
from webapp.calcom.budget import BudgetState, budget_state
from webapp.calcom.errors import Unauthorised
from webapp.jobs.connection import address_and_key, company_breaker, key_budget
from webapp.models.tenancy import require_company_id


@dataclass(frozen=True, slots=True)
class Traffic:
    """`budget` is None where the company has no key that could be counted."""

    breaker: BreakerState
    budget: BudgetState | None


def read_traffic() -> Traffic | None:
    """The current company's; None where Redis is away: unknown, and everything is let through.

    Reads the company and ends the transaction.
    """
    now = clock.now()
    try:
        breaker = company_breaker()
        state = breaker_state(breaker.connection, require_company_id(), now)
        return Traffic(state, _budget_state())
    except RedisError:
        return None


def _budget_state() -> BudgetState | None:
    try:
        _, host, key = address_and_key()
    except Unauthorised:
        return None
    return budget_state(key_budget(host, key), clock.now())
