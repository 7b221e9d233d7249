"""How the way to Cal.com stands, for people: what breaker and budget hold back just now (S3.6)."""

from dataclasses import dataclass

from redis.exceptions import RedisError

from webapp import clock
from webapp.application import vault
from webapp.calcom.breaker import BreakerState, breaker_state
from webapp.calcom.budget import BudgetState, budget_state
from webapp.calcom.errors import Unauthorised
from webapp.jobs.connection import address_and_key, company_breaker, key_budget
from webapp.models.company import Company, Secret
from webapp.models.tenancy import require_company_id
from webapp.models.vault import VaultError


@dataclass(frozen=True, slots=True)
class Traffic:
    """`budget` is None where the company has no key that could be counted."""

    breaker: BreakerState
    budget: BudgetState | None


def read_traffic() -> Traffic | None:
    """The current company's; None where Redis is away: unknown, and everything is let through.

    Reads the company and ends the transaction.
    """
    try:
        _, host, key = address_and_key()
    except Unauthorised:
        return _read(None)
    return _read((host, key))


def traffic_of(company: Company) -> Traffic | None:
    """The same of a company that has been read: asks the database nothing."""
    try:
        key = company.secret(Secret.API_KEY, vault())
    except VaultError:
        key = None
    return _read((company.calcom_host, key) if key else None)


def _read(host_and_key: tuple[str, str] | None) -> Traffic | None:
    now = clock.now()
    try:
        breaker = company_breaker()
        state = breaker_state(breaker.connection, require_company_id(), now)
        budget = budget_state(key_budget(*host_and_key), now) if host_and_key else None
        return Traffic(state, budget)
    except RedisError:
        return None
