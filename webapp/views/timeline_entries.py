"""An appointment's timeline: its history, every try at a change, every webhook about it, merged by
time; where the sides were compared, what each of them said stands side by side (S6)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from flask_babel import LazyString
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp.models.appointment import Origin
from webapp.models.delivery import Delivery, DeliveryStatus
from webapp.models.history import EventKind, HistoryEvent, timeline
from webapp.models.intent import Attempt, Intent, IntentKind, IntentStatus
from webapp.models.tenancy import require_company_id
from webapp.sync.answers import LISTING_LAGS
from webapp.sync.carry import WRITES
from webapp.views.delivery_words import delivery_reason, trigger
from webapp.views.evidence import Difference, differences
from webapp.views.explanations import explain
from webapp.views.timeline import MARKS, Mark, details
from webapp.views.words import gettext as _

MOST_OF_A_KIND = 200

COMPARISONS = frozenset({EventKind.MISMATCH, EventKind.HEALED, EventKind.WEBHOOK_APPLIED})
"""Where both sides were looked at: what each of them said stands side by side."""

INTENTS: dict[IntentKind, Mark] = {
    IntentKind.CREATE: Mark(_l("To be booked on Cal.com"), "cloud", "secondary"),
    IntentKind.RESCHEDULE: Mark(_l("To be moved on Cal.com"), "cloud", "secondary"),
    IntentKind.CANCEL: Mark(_l("To be cancelled on Cal.com"), "cloud", "secondary"),
}
STANDS: dict[IntentStatus, LazyString] = {
    IntentStatus.WAITING: _l("It waits for its turn."),
    IntentStatus.IN_FLIGHT: _l("It is being carried there."),
    IntentStatus.DONE: _l("It was carried there."),
    IntentStatus.FAILED: _l("It was given up."),
    IntentStatus.SUPERSEDED: _l("A newer change took its place."),
}
TRIES: dict[IntentKind, Mark] = {
    IntentKind.CREATE: Mark(_l("Try to book on Cal.com"), "upload", "secondary"),
    IntentKind.RESCHEDULE: Mark(_l("Try to move on Cal.com"), "upload", "secondary"),
    IntentKind.CANCEL: Mark(_l("Try to cancel on Cal.com"), "upload", "secondary"),
}
CALLS: dict[str, LazyString] = {
    "list": _l("looked through the bookings"),
    "get": _l("read the booking"),
    "create": _l("booked"),
    "reschedule": _l("moved it"),
    "cancel": _l("cancelled it"),
}
TRIED: dict[str, LazyString] = {
    "list": _l("tried to look through the bookings"),
    "get": _l("tried to read the booking"),
    "create": _l("tried to book"),
    "reschedule": _l("tried to move it"),
    "cancel": _l("tried to cancel it"),
}
"""What came to nothing, or may have."""
ARRIVED = Mark(_l("Webhook from Cal.com"), "webhook", "secondary")
ARRIVALS: dict[DeliveryStatus, LazyString] = {
    DeliveryStatus.RECEIVED: _l("It has not been worked off yet."),
    DeliveryStatus.APPLIED: _l("It took effect."),
    DeliveryStatus.IGNORED: _l("It changed nothing."),
    DeliveryStatus.REFUSED: _l("It was refused."),
    DeliveryStatus.FAILED: _l("It could not be worked off."),
}


@dataclass(frozen=True)
class Entry:
    """One line of the timeline; `fields` are what the sides said, where they were compared."""

    at: datetime
    mark: Mark
    sentences: list[str]
    fields: list[Difference] = field(default_factory=list)
    user_id: int | None = None
    origin: Origin = Origin.SYSTEM
    delivery_id: int | None = None
    """The webhook it came by, which has a page of its own."""
    rank: int = 0
    """Which comes first of two at the same instant."""


class Timeline(NamedTuple):
    """Newest first; `is_cut`: what is older is kept, and not shown."""

    entries: list[Entry]
    is_cut: bool


def timeline_entries(session: Session, appointment_id: int) -> Timeline:
    """What happened to an appointment, back to where the first kind of it is cut: no holes."""
    events = timeline(session, appointment_id, MOST_OF_A_KIND)
    told = {event.delivery_id for event in events if event.delivery_id is not None}
    kinds = [
        [_of_event(event) for event in events],
        list(_intents(session, appointment_id)),
        list(_tries(session, appointment_id)),
        list(_arrivals(session, appointment_id, told)),
    ]
    cuts = [min(entry.at for entry in kind) for kind in kinds if len(kind) >= MOST_OF_A_KIND]
    found = [entry for kind in kinds for entry in kind if not cuts or entry.at >= max(cuts)]
    entries = sorted(found, key=lambda entry: (entry.at, entry.rank), reverse=True)
    return Timeline(entries, bool(cuts))


def _of_event(event: HistoryEvent) -> Entry:
    return Entry(
        at=event.at,
        mark=MARKS[event.kind],
        sentences=details(event),
        fields=differences(event.data) if event.kind in COMPARISONS else [],
        delivery_id=event.delivery_id,
        user_id=event.user_id,
        origin=event.origin,
        rank=event.id,
    )


def _intents(session: Session, appointment_id: int) -> Iterator[Entry]:
    rows = session.scalars(
        select(Intent)
        .where(Intent.company_id == require_company_id(), Intent.appointment_id == appointment_id)
        .order_by(Intent.id.desc())
        .limit(MOST_OF_A_KIND)
    )
    for intent in rows:
        yield Entry(
            intent.created_at,
            INTENTS[intent.kind],
            [_how_it_stands(intent)],
            user_id=intent.requested_by_user_id,
            origin=intent.origin,
            rank=-2,
        )


def _how_it_stands(intent: Intent) -> str:
    stands = str(STANDS[intent.status])
    return f"{stands} ({intent.error_code})" if intent.error_code else stands


def _tries(session: Session, appointment_id: int) -> Iterator[Entry]:
    rows = session.execute(
        select(Attempt, Intent.kind)
        .join(Intent, (Intent.company_id == Attempt.company_id) & (Intent.id == Attempt.intent_id))
        .where(Intent.company_id == require_company_id(), Intent.appointment_id == appointment_id)
        .order_by(Attempt.id.desc())
        .limit(MOST_OF_A_KIND)
    )
    for attempt, kind in rows:
        sentences = [_calls(attempt), _outcome(attempt)]
        told = [sentence for sentence in sentences if sentence]
        yield Entry(attempt.started_at, TRIES[kind], told, rank=-1)


def _calls(attempt: Attempt) -> str:
    names = [name for name in attempt.operations.split(",") if name]
    if not names:
        return ""
    calls = ", ".join(str(_words(attempt.outcome, names, at)) for at in range(len(names)))
    return _("Asked Cal.com: %(calls)s.", calls=calls)


def _words(outcome: str | None, names: Sequence[str], at: int) -> LazyString | str:
    """A try that didn't go through ended with its last call, and no write of it is to be believed;
    what it read before, it did read."""
    name = names[at]
    is_write = name in WRITES
    ended_it = at == len(names) - 1 and outcome != LISTING_LAGS
    came_to_nothing = outcome != "done" and (is_write or ended_it)
    return (TRIED if came_to_nothing else CALLS).get(name, name)


def _outcome(attempt: Attempt) -> str:
    match attempt.outcome:
        case None:
            return _("No end is known: it is under way, or its worker stopped.")
        case "done":
            return _("It went through.")
        case "LEASE_LOST":
            return _("Another worker had taken over: nothing of it was kept.")
    code, status = attempt.outcome, attempt.http_status
    if status is not None and str(status) not in code:
        code = f"{code}, HTTP {status}"
    meaning = str(explain(attempt.outcome).meaning)
    return _("%(meaning)s (%(code)s)", meaning=meaning, code=code)


def _arrivals(session: Session, appointment_id: int, told: set[int]) -> Iterator[Entry]:
    """Webhooks about it that the history has no word of."""
    rows = session.execute(
        select(
            Delivery.id, Delivery.received_at, Delivery.trigger, Delivery.status, Delivery.reason
        )
        .where(
            Delivery.company_id == require_company_id(),
            Delivery.appointment_id == appointment_id,
            Delivery.id.not_in(told),
        )
        .order_by(Delivery.id.desc())
        .limit(MOST_OF_A_KIND)
    )
    for row in rows:
        why = delivery_reason(row.reason) if row.reason else ""
        sentences = [f"{trigger(row.trigger)}. {ARRIVALS[row.status]}", why]
        yield Entry(
            row.received_at,
            ARRIVED,
            [sentence for sentence in sentences if sentence],
            origin=Origin.CALCOM,
            delivery_id=row.id,
            rank=-1,
        )
