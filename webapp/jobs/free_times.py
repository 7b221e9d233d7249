"""Free times asked of Cal.com while somebody waits on the telephone: in a short time, or not at
all. Answers are told again for some seconds; without Redis each is asked for anew."""

import json
from datetime import datetime, timedelta
from typing import cast

from webapp import clock
from webapp.application import settings
from webapp.calcom.errors import CalcomError
from webapp.jobs.connection import open_client
from webapp.jobs.presence import Presence
from webapp.jobs.queues import connect_for_web
from webapp.logs import sync_log
from webapp.models.tenancy import require_company_id
from webapp.sync.phone.openings import Offered

FORGOTTEN_AFTER_SECONDS = 600
"""Housekeeping; nothing is decided by it."""


def ask_slots(
    event_type_id: int | None,
    *,
    start: datetime,
    end: datetime,
    moving_uid: str | None = None,
    may_be_told_again: bool = False,
) -> Offered | None:
    """The starts that Cal.com offers between two instants; None where it can't be asked in time.

    Ends the transaction, as `open_client` does. `moving_uid`: the booking whose own time counts as
    free. `may_be_told_again`: an answer some seconds old will do.
    """
    if event_type_id is None:
        return None
    name = f"lockstep:slots:{require_company_id()}:{event_type_id}:{moving_uid}:{start}:{end}"
    redis = Presence(asks_once=True)
    if may_be_told_again and (told := redis.ask(lambda: _told(name))) is not None:
        return told
    offered = _ask(event_type_id, start, end, moving_uid, redis)
    if offered is not None:
        redis.ask(lambda: _keep(name, offered))
    return offered


def _ask(
    event_type_id: int, start: datetime, end: datetime, moving_uid: str | None, redis: Presence
) -> Offered | None:
    asked_at = clock.now()
    try:
        with open_client(hurry_seconds=settings().phone_calcom_seconds, redis=redis) as client:
            slots = client.list_slots(
                event_type_id, start=start, end=end, rescheduling_uid=moving_uid
            )
    except CalcomError as error:
        sync_log().warning("slots_not_told", code=error.code, event_type_id=event_type_id)
        return None
    return Offered(asked_at, tuple(slot.start for slot in slots))


def _told(name: str) -> Offered | None:
    stored = connect_for_web(settings().redis_url).get(name)
    if stored is None:
        return None
    asked_at, starts = json.loads(cast(bytes, stored))
    offered = Offered(_instant(asked_at), tuple(map(_instant, starts)))
    age = clock.now() - offered.asked_at
    return offered if age < timedelta(seconds=settings().phone_slots_seconds) else None


def _keep(name: str, offered: Offered) -> None:
    text = json.dumps([offered.asked_at.isoformat(), [at.isoformat() for at in offered.starts]])
    connect_for_web(settings().redis_url).set(name, text, ex=FORGOTTEN_AFTER_SECONDS)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
