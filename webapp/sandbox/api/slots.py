"""`GET /v2/slots`: free times from nine to five in the host's zone. No promise: only the create
decides, and the sandbox also books outside these hours."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flask import Blueprint, Response, request

from webapp.sandbox.api.gate import fault, json_answer, the_sandbox
from webapp.sandbox.instants import parse_instant, with_milliseconds
from webapp.sandbox.records import EventType, Json
from webapp.sandbox.refusals import Refusal, whole_number
from webapp.sandbox.scheduling import is_busy
from webapp.sandbox.shapes import dump, success
from webapp.sandbox.versions import wants_old_shape

OPENS_AT, CLOSES_AT = 9, 17
LONGEST_SEARCH = timedelta(days=62)


def add_routes(api: Blueprint) -> None:
    api.add_url_rule("/slots", "slots__list", list_slots)


def list_slots() -> Response:
    old = wants_old_shape(request, "slots") or fault("old_version") is not None
    event_type, zone = _event_type(), _zone(request.args.get("timeZone") or "UTC")
    start, end = _bound("start"), _bound("end")
    if end.hour == end.minute == 0 and "T" not in request.args["end"]:
        end += timedelta(days=1)
    if end - start > LONGEST_SEARCH:
        raise Refusal(400, "The range between start and end is too long")
    days: dict[str, list[Json]] = {}
    for slot in [] if fault("empty_list") is not None else _free_slots(event_type, start, end):
        local = slot.astimezone(zone)
        days.setdefault(local.date().isoformat(), []).append(_slot_body(local, event_type, old))
    return json_answer(success(dump({"slots": days} if old else days)))


def _slot_body(local: datetime, event_type: EventType, old: bool) -> Json:
    if old:
        return {"time": _spell(local)}
    if request.args.get("format") == "range":
        end = local + timedelta(minutes=event_type.length_minutes)
        return {"start": _spell(local), "end": _spell(end)}
    return {"start": _spell(local)}


def _spell(local: datetime) -> str:
    """With the offset of the zone that was asked for; `Z` for UTC."""
    if not local.utcoffset():
        return with_milliseconds(local)
    return local.isoformat(timespec="milliseconds")


def _free_slots(event_type: EventType, start: datetime, end: datetime) -> Iterator[datetime]:
    sandbox = the_sandbox()
    host_zone = _zone(sandbox.state.accounts[event_type.owner_id].time_zone)
    length = timedelta(minutes=event_type.length_minutes)
    notice = timedelta(minutes=event_type.minimum_notice_minutes)
    earliest = max(start, sandbox.clock.now() + notice)
    moving = request.args.get("bookingUidToReschedule", "")
    day = start.astimezone(host_zone).date()
    while day <= end.astimezone(host_zone).date():
        slot = datetime(day.year, day.month, day.day, OPENS_AT, tzinfo=host_zone)
        closing = slot.replace(hour=CLOSES_AT)
        while slot + length <= closing:
            if earliest <= slot < end and not is_busy(
                sandbox.state, event_type, slot, slot + length, moving=moving
            ):
                yield slot
            slot += length
        day += timedelta(days=1)


def _event_type() -> EventType:
    event_type_id = whole_number(request.args.get("eventTypeId", ""))
    if event_type_id is None:
        raise Refusal(400, "eventTypeId must be a number")
    event_type = the_sandbox().state.event_types.get(event_type_id)
    if event_type is None:
        raise Refusal(404, f"Event Type with ID={event_type_id} not found")
    return event_type


def _bound(name: str) -> datetime:
    at = parse_instant(request.args.get(name))
    if at is None:
        raise Refusal(400, f"{name} must be a valid ISO 8601 date string")
    return at


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Refusal(400, "timeZone must be a valid IANA time-zone") from error
