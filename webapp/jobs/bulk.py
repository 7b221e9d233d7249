"""The bulk job: begin a batch, ask Cal.com about it with few calls, write down what came of it,
and so on; each step committed, so that whoever comes after a death goes on where it stopped."""

import time
from collections.abc import Sequence
from datetime import timedelta

from webapp import clock
from webapp.application import settings
from webapp.calcom.errors import CalcomError, Postponed, Unauthorised
from webapp.extensions import db
from webapp.jobs.connection import open_client
from webapp.jobs.queues import enqueue_bulk
from webapp.jobs.verification import patience, record_look
from webapp.logs import sync_log
from webapp.models.tenancy import as_company
from webapp.sync.bulk_work import (
    LEASE,
    Plan,
    Queued,
    begin_item,
    break_off_item,
    conclude,
    finish_if_through,
    hold_bulk,
    may_go_on,
    next_items,
    refuse_rest,
    take_bulk,
    unanswered,
)
from webapp.sync.gathering import observe_many
from webapp.sync.settlement import Started
from webapp.sync.verify import Look, Observation, plan_verification

BULK_SECONDS = 240.0
"""A job hands over to a further one before its time limit of 300 s ends it."""

LOOK_AGAIN = timedelta(seconds=1)
"""How soon it is looked again what became of pushes and verifications under way."""

ANSWER_DUE = timedelta(seconds=30)
"""A look that nobody has answered for so long was a dead worker's, or is worth another."""

MOST_SETBACKS = 3
SETBACK_PAUSE = timedelta(seconds=10)


def work(company_id: int, bulk_id: int) -> None:
    """Go on with a bulk action, for as long as a job may."""
    with as_company(company_id):
        plan = take_bulk(db.session(), bulk_id, now=clock.now())
        db.session.commit()
        if plan is None:
            return
        if not _work_on(plan):
            enqueue_bulk(company_id, bulk_id)


def _work_on(plan: Plan) -> bool:
    """False when a further job is to go on at once."""
    ends = time.monotonic() + BULK_SECONDS
    looks = _plan_unanswered(plan)
    while True:
        pause = _look(plan, looks)
        if pause is not None:
            return _rest(plan, pause)
        conclude(db.session(), plan.bulk_id, now=clock.now())
        db.session.commit()
        if time.monotonic() > ends:
            _rest(plan, timedelta())
            return False
        batch = _next_batch(plan)
        if not batch:
            return _end_or_rest(plan)
        looks = [look for item in batch if (look := _begin(plan, item)) is not None]


def _next_batch(plan: Plan) -> list[Queued]:
    """What to begin now; rights are asked each time, for they may have gone meanwhile."""
    now = clock.now()
    hold_bulk(db.session(), plan.bulk_id, until=now + LEASE)
    if not may_go_on(db.session(), plan):
        refused = refuse_rest(db.session(), plan.bulk_id, now=now)
        if refused:
            sync_log().warning("bulk_without_right", bulk_id=plan.bulk_id, refused=refused)
    batch = next_items(db.session(), plan.bulk_id, settings().bulk_batch)
    db.session.commit()
    return batch


def _begin(plan: Plan, item: Queued) -> Look | None:
    """Begin one item; returns what to look at on Cal.com for it, if anything."""
    now = clock.now()
    try:
        started = begin_item(db.session(), plan, item, now=now)
        look = _plan_look(started)
        db.session.commit()
        return look
    except Exception:  # noqa: BLE001 - one finding must not end the others' bulk action
        db.session.rollback()
        sync_log().exception("bulk_item_broke_off", bulk_id=plan.bulk_id, item_id=item.id)
        break_off_item(db.session(), item.id, now=now)
        db.session.commit()
        return None


def _plan_look(started: Started | None) -> Look | None:
    if started is None or not started.is_verifying:
        return None
    return plan_verification(
        db.session(), started.appointment_id, now=clock.now(), patience=patience()
    )


def _plan_unanswered(plan: Plan) -> list[Look]:
    """What an earlier job began and did not see through."""
    session, now = db.session(), clock.now()
    waiting = unanswered(
        session, plan.bulk_id, not_since=now - ANSWER_DUE, limit=settings().bulk_batch
    )
    looks = [plan_verification(session, each, now=now, patience=patience()) for each in waiting]
    db.session.commit()
    return [look for look in looks if look is not None]


def _look(plan: Plan, looks: Sequence[Look]) -> timedelta | None:
    """Ask Cal.com and record the answers; returns a pause where it can't be asked now."""
    if not looks:
        return None
    try:
        with open_client(is_sweep=True) as client:
            for look, seen in observe_many(looks, client):
                if isinstance(seen.error, Postponed):
                    raise seen.error
                _record(plan, look, seen)
    except Postponed as error:
        return timedelta(seconds=error.retry_after_seconds)
    except CalcomError as error:
        return _on_error(plan, looks, error)
    return None


def _record(plan: Plan, look: Look, seen: Observation) -> None:
    hold_bulk(db.session(), plan.bulk_id, until=clock.now() + LEASE, setback_count=0)
    record_look(look, seen)


def _on_error(plan: Plan, looks: Sequence[Look], error: CalcomError) -> timedelta | None:
    """A listing that could not be read is read again before anybody is told of an error."""
    if plan.setbacks + 1 < MOST_SETBACKS and not isinstance(error, Unauthorised):
        until = clock.now() + SETBACK_PAUSE
        hold_bulk(db.session(), plan.bulk_id, until=until, setback_count=plan.setbacks + 1)
        db.session.commit()
        return SETBACK_PAUSE
    for look in looks:
        _record(plan, look, Observation(error=error))
    return None


def _rest(plan: Plan, pause: timedelta) -> bool:
    hold_bulk(db.session(), plan.bulk_id, until=clock.now() + pause)
    db.session.commit()
    return True


def _end_or_rest(plan: Plan) -> bool:
    """Nothing is left to begin: the end, or a pause until pushes and looks have ended."""
    is_through = finish_if_through(db.session(), plan.bulk_id, now=clock.now())
    db.session.commit()
    if is_through:
        sync_log().info("bulk_finished", bulk_id=plan.bulk_id, kind=plan.kind.value)
        return True
    return _rest(plan, LOOK_AGAIN)
