"""What a listing of bookings asks for: its parameters, as Cal.com reads them (API facts, §2)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from webapp.sandbox.instants import parse_instant
from webapp.sandbox.refusals import Refusal, whole_number

STATUSES = ("upcoming", "recurring", "past", "cancelled", "unconfirmed")
DEFAULT_TAKE = 100
MAX_TAKE = 250
SORTS = ("sortStart", "sortEnd", "sortCreated", "sortUpdatedAt")


@dataclass(frozen=True)
class Wanted:
    """What a listing asks for. All bounds are inclusive."""

    take: int = DEFAULT_TAKE
    skip: int = 0
    statuses: tuple[str, ...] = ()
    email: str | None = None
    name: str | None = None
    uid: str | None = None
    event_type_ids: tuple[int, ...] = ()
    after_start: datetime | None = None
    before_end: datetime | None = None
    after_created: datetime | None = None
    before_created: datetime | None = None
    after_updated: datetime | None = None
    before_updated: datetime | None = None
    sort: str = "sortStart"
    descending: bool = False

    @property
    def without_changes(self) -> "Wanted":
        """Without the created and updated filters: what Cal.com's totals are counted over."""
        return replace(
            self, after_created=None, before_created=None, after_updated=None, before_updated=None
        )

    @property
    def unpaged(self) -> "Wanted":
        return replace(self, take=DEFAULT_TAKE, skip=0)


def read_wanted(query: Mapping[str, str]) -> Wanted:
    """The listing's parameters; Refusal 400 for a take above 250 or a loose date."""
    sort = next((name for name in SORTS if query.get(name)), "sortStart")
    direction = query.get(sort, "asc")
    if direction not in ("asc", "desc"):
        raise Refusal(400, f"{sort} must be either 'asc' or 'desc'.")
    return Wanted(
        take=_number(query, "take", DEFAULT_TAKE, low=1, high=MAX_TAKE),
        skip=_number(query, "skip", 0, low=0, high=2**31),
        statuses=_statuses(query.get("status", "")),
        email=query.get("attendeeEmail", "").lower() or None,
        name=query.get("attendeeName") or None,
        uid=query.get("bookingUid") or None,
        event_type_ids=_ids(query.get("eventTypeIds") or query.get("eventTypeId", "")),
        after_start=_instant(query, "afterStart"),
        before_end=_instant(query, "beforeEnd"),
        after_created=_instant(query, "afterCreatedAt"),
        before_created=_instant(query, "beforeCreatedAt"),
        after_updated=_instant(query, "afterUpdatedAt"),
        before_updated=_instant(query, "beforeUpdatedAt"),
        sort=sort,
        descending=direction == "desc",
    )


def _number(query: Mapping[str, str], name: str, default: int, *, low: int, high: int) -> int:
    if name not in query:
        return default
    number = whole_number(query[name])
    if number is None or not low <= number <= high:
        raise Refusal(400, f"{name} must not be less than {low} or greater than {high}")
    return number


def _statuses(text: str) -> tuple[str, ...]:
    statuses = tuple(each.strip() for each in text.split(",") if each.strip())
    if any(each not in STATUSES for each in statuses):
        raise Refusal(400, f"Invalid status. Allowed are: {', '.join(STATUSES)}")
    return statuses


def _ids(text: str) -> tuple[int, ...]:
    numbers = [whole_number(each.strip()) for each in text.split(",") if each.strip()]
    ids = tuple(number for number in numbers if number is not None)
    if len(ids) != len(numbers):
        raise Refusal(400, "eventTypeIds must be numbers separated by commas")
    return ids


def _instant(query: Mapping[str, str], name: str) -> datetime | None:
    text = query.get(name)
    if not text:
        return None
    at = parse_instant(text)
    if at is None:
        raise Refusal(400, f"{name} must be a valid ISO 8601 date string.")
    return at
