"""The push job: claim, commit, call, settle, commit, enqueue what follows."""

import time

import structlog

from webapp import clock
from webapp.application import settings
from webapp.calcom.errors import CONNECTION, TIMEOUT, CalcomError, Unavailable
from webapp.extensions import db
from webapp.jobs.connection import open_client
from webapp.jobs.queues import enqueue_push
from webapp.logs import sync_log
from webapp.models.intent import Intent
from webapp.models.tenancy import as_company
from webapp.sync.answers import Pauses
from webapp.sync.carry import Carried, carry
from webapp.sync.flight import Settled
from webapp.sync.push import Claim, Lease, claim_intent
from webapp.sync.settle import settle_push, settle_unsendable


def push(company_id: int, intent_id: int) -> None:
    """Carry one intent, if it is due and nobody else does."""
    with (
        as_company(company_id),
        structlog.contextvars.bound_contextvars(company_id=company_id, intent_id=intent_id),
    ):
        claim = claim_intent(db.session(), intent_id, now=clock.now(), lease=_lease())
        is_sweep = claim is not None and not _is_interactive(company_id, intent_id)
        db.session.commit()
        if claim is None:
            return
        settled = _carry_and_settle(claim, is_sweep=is_sweep)
        db.session.commit()
        _say(claim, settled)
        enqueue_push(company_id, settled.next_intent_id)


def _is_interactive(company_id: int, intent_id: int) -> bool:
    return db.session.get_one(Intent, (company_id, intent_id)).is_interactive


def _carry_and_settle(claim: Claim, *, is_sweep: bool) -> Settled:
    if claim.wish is None:
        return settle_unsendable(db.session(), claim, now=clock.now())
    carried = _call(claim, is_sweep=is_sweep)
    sync_log().info(
        "push_called",
        appointment_id=claim.appointment_id,
        operations=carried.operations,
        code=carried.error.code if carried.error else None,
    )
    return settle_push(db.session(), claim, carried, now=clock.now(), pauses=_pauses())


def _call(claim: Claim, *, is_sweep: bool = False) -> Carried:
    """The calls, for as long as the lease holds; whatever goes wrong is an outcome."""
    if clock.now() >= claim.lease_until:
        return Carried(error=Unavailable(TIMEOUT, "The lease ran out before a call", sent=False))
    try:
        return _carry(claim, is_sweep=is_sweep)
    except CalcomError as error:
        return Carried(error=error)
    except Exception:  # noqa: BLE001 - the boundary: else it would be taken over for ever
        db.session.rollback()
        sync_log().exception("push_broke_off", appointment_id=claim.appointment_id)
        unforeseen = Unavailable(CONNECTION, "Something unforeseen ended the try")
        return Carried(error=unforeseen, broke_off=True)


def _carry(claim: Claim, *, is_sweep: bool) -> Carried:
    assert claim.wish is not None  # noqa: S101 - narrows the type
    # Asking `/me` is part of the try: the lease has to outlive both.
    ends = time.monotonic() + settings().push_budget_seconds
    with open_client(is_sweep=is_sweep) as client:
        if claim.needs_reconnect:
            client.me()
        carried = carry(
            claim.wish,
            claim.known,
            client,
            budget_seconds=ends - time.monotonic(),
            call_seconds=settings().calcom_call_seconds,
        )
        carried.has_proved_key = claim.needs_reconnect
        return carried


def _say(claim: Claim, settled: Settled) -> None:
    event = "push_lease_lost" if settled.was_lost else "push_settled"
    sync_log().info(event, appointment_id=claim.appointment_id, attempt=claim.attempt_number)


def _lease() -> Lease:
    return Lease(
        seconds=settings().push_lease_seconds,
        look_trust_seconds=settings().look_trust_seconds,
        reconnect_seconds=settings().reconnect_seconds,
    )


def _pauses() -> Pauses:
    return Pauses(
        loud=settings().push_retry_seconds,
        quiet=settings().push_quiet_retry_seconds,
        reconnect=settings().reconnect_seconds,
        proof=settings().proof_seconds,
    )
