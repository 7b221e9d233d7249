"""A client for the company a job acts for. Before each call it refuses an open transaction and
asks breaker and budget; after each it tells them how the call went."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from webapp import clock
from webapp.application import settings, vault
from webapp.calcom.breaker import Breaker, Fuse, is_failure
from webapp.calcom.budget import Allowance, Budget, budget_name
from webapp.calcom.client import CalcomClient, CallRecord
from webapp.calcom.errors import RATE_LIMITED, TIMEOUT, BudgetSpent, Unauthorised
from webapp.extensions import db
from webapp.jobs.presence import Presence
from webapp.jobs.queues import connect_for_web
from webapp.logs import sync_log
from webapp.models.company import Company, Secret
from webapp.models.tenancy import require_company_id
from webapp.models.vault import VaultError
from webapp.sync.connection import release_waiting


class TransactionOpenError(RuntimeError):
    """A call was about to be made with a transaction open: commit first."""


@contextmanager
def open_client(
    *,
    is_sweep: bool = False,
    hurry_seconds: float | None = None,
    on_call: Callable[[CallRecord], None] | None = None,
    redis: Presence | None = None,
) -> Iterator[CalcomClient]:
    """The current company's client; raises Unauthorised where key or address can't be used.

    Reads the company and ends the transaction, so enter it between transactions. Its calls raise
    CircuitOpen or BudgetSpent where nothing may be sent now; `is_sweep`: nobody waits for them.
    `hurry_seconds`: somebody on the telephone waits, so each call ends by then. `on_call` hears of
    each call that was made. `redis`: as the work has met it so far.
    """
    base_url, host, key = address_and_key()
    gate = Gate(
        company_breaker(),
        key_budget(host, key),
        is_sweep=is_sweep,
        is_hurried=hurry_seconds is not None,
        listener=on_call,
        redis=redis,
    )
    with _make_client(base_url, key, gate, hurry_seconds) as client:
        try:
            yield client
        finally:
            gate.release_after_closing()


class Gate:
    """What each call of a client passes. Without Redis every call is let through (S3.6).

    Where one is hurried its running out of time says nothing of Cal.com: the breaker isn't told.
    """

    def __init__(
        self,
        breaker: Breaker,
        budget: Budget,
        *,
        is_sweep: bool,
        is_hurried: bool = False,
        listener: Callable[[CallRecord], None] | None = None,
        redis: Presence | None = None,
    ) -> None:
        self._listener = listener
        self._breaker = breaker
        self._budget = budget
        self._is_sweep = is_sweep
        self._is_hurried = is_hurried
        self._has_closed = False
        self._redis = redis or Presence(asks_once=is_hurried)

    def before_call(self) -> None:
        """Raises TransactionOpenError, CircuitOpen or BudgetSpent."""
        refuse_inside_transaction()
        self.release_after_closing()
        self._redis.ask(self._admit)

    def on_call(self, record: CallRecord) -> None:
        """Tell breaker and budget how the call went."""
        if self._listener is not None:
            self._listener(record)
        self._redis.ask(lambda: self._note(record))
        self._redis.ask(lambda: self._learn(record))

    def release_after_closing(self) -> None:
        """Once the breaker has closed, what waits is due at once: a transaction of its own."""
        if self._has_closed and not db.session().in_transaction():
            self._has_closed = False
            release_waiting(db.session(), now=clock.now())
            db.session.commit()

    def _admit(self) -> None:
        now = clock.now()
        self._breaker.admit(now)
        try:
            self._budget.take(now, is_sweep=self._is_sweep)
        except BudgetSpent:
            self._breaker.give_back()
            raise

    def _note(self, record: CallRecord) -> None:
        if self._is_hurried and record.error_code == TIMEOUT:
            self._breaker.give_back()
        elif is_failure(record.error_code):
            if self._breaker.note_failure(clock.now()):
                sync_log().warning("breaker_opened", code=record.error_code)
        elif self._breaker.note_answer():
            self._has_closed = True
            sync_log().info("breaker_closed")

    def _learn(self, record: CallRecord) -> None:
        is_limited = record.error_code == RATE_LIMITED
        pause = record.retry_after_seconds if is_limited else None
        self._budget.learn(record.rate_limit, clock.now(), pause_seconds=pause)


def refuse_inside_transaction() -> None:
    """An open transaction would hold locks for as long as Cal.com takes (S3.4)."""
    if db.session().in_transaction():
        raise TransactionOpenError("commit before calling Cal.com")


def address_and_key() -> tuple[str, str, str]:
    """Base address, host and API key, read in a transaction that is over; raises Unauthorised."""
    company = db.session.get_one(Company, require_company_id())
    try:
        key = company.secret(Secret.API_KEY, vault())
        if not key:
            raise Unauthorised("UNAUTHORIZED", "The company has no API key yet")
        return company.calcom_base_url, company.calcom_host, key
    except VaultError:
        raise Unauthorised("UNAUTHORIZED", "The stored API key cannot be opened") from None
    finally:
        db.session.rollback()


def _make_client(base_url: str, key: str, gate: Gate, hurry_seconds: float | None) -> CalcomClient:
    try:
        return CalcomClient(
            base_url,
            key,
            deadline_seconds=hurry_seconds or settings().calcom_call_seconds,
            allow_private_networks=settings().allow_private_networks,
            before_call=gate.before_call,
            on_call=gate.on_call,
        )
    except ValueError:
        raise Unauthorised("UNAUTHORIZED", "The Cal.com address or key cannot be used") from None


def company_breaker() -> Breaker:
    """The current company's breaker, held by this caller."""
    fuse = Fuse(
        failures=settings().breaker_failures,
        open_seconds=settings().breaker_open_seconds,
        # A trial ends with its call; the rest is for a slow machine.
        trial_seconds=settings().calcom_call_seconds + 2.0,
    )
    return Breaker(connect_for_web(settings().redis_url), require_company_id(), fuse)


def key_budget(host: str, key: str) -> Budget:
    """The budget of a key, shared by all who use it on that host."""
    allowance = Allowance(
        calls=settings().calcom_calls_per_minute, people_share=settings().calcom_people_share
    )
    return Budget(connect_for_web(settings().redis_url), budget_name(host, key), allowance)
