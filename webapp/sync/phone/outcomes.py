"""How a caller's wish ends: a reason with the facts that belong to it. The reason says it all; the
result sorts reasons into what a voice agent has to do next."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum


class Result(StrEnum):
    """What the agent does next: go on, offer other times, note a wish, ask, or say no."""

    SUCCESS = "success"
    UNAVAILABLE = "unavailable"
    UNCHECKED = "unchecked"
    QUESTION = "question"
    NOT_FOUND = "not_found"
    REFUSED = "refused"


class Reason(StrEnum):
    """Stable names: agents' prompts and logs speak of them (docs/phone.md)."""

    FREE = "free"
    OPENINGS = "openings"
    BOOKED = "booked"
    BOOKED_ALREADY = "booked_already"
    NOTED = "noted"
    MOVED = "moved"
    MOVE_NOTED = "move_noted"
    CANCELLED = "cancelled"
    FOUND = "found"

    TAKEN = "taken"
    DAY_FULL = "day_full"
    NOTHING_FREE = "nothing_free"
    CALENDAR_AWAY = "calendar_away"

    CALENDAR_UNCHECKED = "calendar_unchecked"

    SERVICE_MISSING = "service_missing"
    SERVICE_UNKNOWN = "service_unknown"
    DATE_MISSING = "date_missing"
    DATE_UNCLEAR = "date_unclear"
    TIME_MISSING = "time_missing"
    TIME_UNCLEAR = "time_unclear"
    TIME_SKIPPED = "time_skipped"
    NAME_MISSING = "name_missing"
    CONTACT_MISSING = "contact_missing"
    EMAIL_UNCLEAR = "email_unclear"
    PHONE_UNCLEAR = "phone_unclear"
    CALLER_UNKNOWN = "caller_unknown"
    SEVERAL_CUSTOMERS = "several_customers"
    SEVERAL_APPOINTMENTS = "several_appointments"

    NO_APPOINTMENT = "no_appointment"
    NO_SUCH_APPOINTMENT = "no_such_appointment"

    NOTHING_OFFERED = "nothing_offered"
    IN_PAST = "in_past"
    TOO_FAR = "too_far"
    UNCHANGED = "unchanged"
    NOT_LIVE = "not_live"
    ALREADY_STARTED = "already_started"
    SERVICE_NOT_OFFERED = "service_not_offered"


_SORTED: dict[Result, tuple[Reason, ...]] = {
    Result.SUCCESS: (
        Reason.FREE,
        Reason.OPENINGS,
        Reason.BOOKED,
        Reason.BOOKED_ALREADY,
        Reason.NOTED,
        Reason.MOVED,
        Reason.MOVE_NOTED,
        Reason.CANCELLED,
        Reason.FOUND,
    ),
    Result.UNAVAILABLE: (
        Reason.TAKEN,
        Reason.DAY_FULL,
        Reason.NOTHING_FREE,
        Reason.CALENDAR_AWAY,
    ),
    Result.UNCHECKED: (Reason.CALENDAR_UNCHECKED,),
    Result.NOT_FOUND: (Reason.NO_APPOINTMENT, Reason.NO_SUCH_APPOINTMENT),
    Result.REFUSED: (
        Reason.NOTHING_OFFERED,
        Reason.IN_PAST,
        Reason.TOO_FAR,
        Reason.UNCHANGED,
        Reason.NOT_LIVE,
        Reason.ALREADY_STARTED,
        Reason.SERVICE_NOT_OFFERED,
    ),
}
_RESULTS = {reason: result for result, reasons in _SORTED.items() for reason in reasons}


@dataclass(frozen=True, slots=True)
class BookedTime:
    """An appointment as the telephone speaks of it; `uid` and `event_type_id` are for Cal.com.

    `is_confirmed`: both sides agree on it, and nobody has to accept it any more.
    """

    id: int
    service_id: int
    service: str
    starts_at: datetime
    ends_at: datetime
    event_type_id: int | None = None
    uid: str | None = None
    is_confirmed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a wish ended.

    `starts`: free times, soonest first. `wanted_at`, `wanted_day`: what was asked for. `services`:
    names on offer. `intent_id`: what the caller of this enqueues after the commit.
    """

    reason: Reason
    service: str = ""
    wanted_at: datetime | None = None
    wanted_day: date | None = None
    starts: tuple[datetime, ...] = ()
    services: tuple[str, ...] = ()
    appointment: BookedTime | None = None
    appointments: tuple[BookedTime, ...] = ()
    intent_id: int | None = None

    @property
    def result(self) -> Result:
        return _RESULTS.get(self.reason, Result.QUESTION)

    @property
    def is_success(self) -> bool:
        return self.result is Result.SUCCESS


class Objection(Exception):
    """The wish can't be followed up: ask, or say no. Nothing has been written."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.reason.value)
        self.outcome = outcome


def objection(reason: Reason, **facts: object) -> Objection:
    """Raise this to end with `reason`."""
    return Objection(Outcome(reason=reason, **facts))  # type: ignore[arg-type]
