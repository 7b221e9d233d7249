"""The push job: claim, commit, call, settle, commit, enqueue what follows."""

import structlog

from webapp import clock
from webapp.application import settings
from webapp.calcom.errors import CalcomError
from webapp.extensions import db
from webapp.jobs.connection import open_client
from webapp.jobs.queues import enqueue_push
from webapp.logs import sync_log
from webapp.models.tenancy import as_company
from webapp.sync.answers import Pauses
from webapp.sync.carry import Carried, carry
from webapp.sync.push import Claim, Lease, claim_intent
from webapp.sync.settle import Settled, settle_push, settle_unsendable


def push(company_id: int, intent_id: int) -> None:
    """Carry one intent, if it is due and nobody else does."""
    with (
        as_company(company_id),
        structlog.contextvars.bound_contextvars(company_id=company_id, intent_id=intent_id),
    ):
        claim = claim_intent(db.session(), intent_id, now=clock.now(), lease=_lease())
        db.session.commit()
        if claim is None:
            return
        settled = _carry_and_settle(claim)
        db.session.commit()
        _say(claim, settled)
        enqueue_push(company_id, settled.next_intent_id)


def _carry_and_settle(claim: Claim) -> Settled:
    if claim.wish is None:
        return settle_unsendable(db.session(), claim, now=clock.now())
    carried = _call(claim)
    sync_log().info(
        "push_called",
        appointment_id=claim.appointment_id,
        operations=carried.operations,
        code=carried.error.code if carried.error else None,
    )
    return settle_push(db.session(), claim, carried, now=clock.now(), pauses=_pauses())


def _call(claim: Claim) -> Carried:
    assert claim.wish is not None  # noqa: S101 - narrows the type
    try:
        with open_client() as client:
            if claim.needs_reconnect:
                client.me()
            return carry(
                claim.wish,
                claim.known,
                client,
                budget_seconds=settings().push_budget_seconds,
                call_seconds=settings().calcom_call_seconds,
            )
    except CalcomError as error:
        return Carried(error=error)


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
