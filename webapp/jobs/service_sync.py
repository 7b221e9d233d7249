"""The job of the Cal.com Sync button: claim, commit, write the event type, record, commit."""

from datetime import timedelta

from redis.exceptions import RedisError

from webapp import clock
from webapp.calcom.errors import CalcomError, Postponed
from webapp.extensions import db
from webapp.jobs.connection import open_client
from webapp.jobs.queues import hand_over_or_raise
from webapp.logs import sync_log
from webapp.models.service import Service
from webapp.models.tenancy import as_company, require_company_id
from webapp.sync.connection import mark_connected, mark_disconnected
from webapp.sync.service_sync import (
    Turn,
    claim_sync,
    fail,
    is_about_the_key,
    put_off,
    record_failure,
    record_success,
    write_event_type,
)

QUEUE_AWAY = "QUEUE_AWAY"
INTERNAL = "INTERNAL"
QUEUE_PAUSE = timedelta(minutes=1)
"""Where the queue couldn't be reached: when the pulse brings the service by itself."""


def push_service(company_id: int, service_id: int) -> None:
    """Write a service to its event type; where it fails the row says why and when it goes on."""
    with as_company(company_id):
        turn = claim_sync(db.session(), service_id, now=clock.now())
        db.session.commit()
        if turn is not None:
            _work(turn)


def begin_sync(service_id: int) -> bool:
    """Hand a service that is due to the workers; False where the queue can't be reached: then the
    service says so, and it is tried again by itself."""
    try:
        hand_over_or_raise("service_sync", require_company_id(), service_id)
    except RedisError:
        sync_log().exception("service_sync_not_queued", service_id=service_id)
        service = db.session.get_one(Service, (require_company_id(), service_id))
        fail(service, QUEUE_AWAY, "The queue can't be reached")
        service.sync_due_at = clock.now() + QUEUE_PAUSE
        db.session.commit()
        return False
    return True


def _work(turn: Turn) -> None:
    try:
        with open_client() as client:
            written = write_event_type(turn, client)
    except Postponed as error:
        _put_off(turn, error)
    except CalcomError as error:
        _give_up(turn, error)
    except Exception:
        sync_log().exception("service_sync_broke", service_id=turn.service_id)
        db.session.rollback()
        record_failure(db.session(), turn, CalcomError(INTERNAL, "Unforeseen"), now=clock.now())
        db.session.commit()
        raise
    else:
        mark_connected(db.session(), now=clock.now())
        record_success(db.session(), turn, written, now=clock.now())
        db.session.commit()
        sync_log().info("service_synced", service_id=turn.service_id, attempt=turn.attempt)


def _put_off(turn: Turn, error: Postponed) -> None:
    pause = timedelta(seconds=error.retry_after_seconds)
    put_off(db.session(), turn, until=clock.now() + pause)
    db.session.commit()
    sync_log().info("service_sync_waits", service_id=turn.service_id, code=error.code)


def _give_up(turn: Turn, error: CalcomError) -> None:
    now = clock.now()
    if is_about_the_key(error):
        mark_disconnected(db.session(), error.code, now=now)
    pause = record_failure(db.session(), turn, error, now=now)
    db.session.commit()
    sync_log().warning(
        "service_sync_failed",
        service_id=turn.service_id,
        code=error.code,
        attempt=turn.attempt,
        again_in_seconds=pause and pause.total_seconds(),
        exc_info=error,
    )
