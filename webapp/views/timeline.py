"""Each event of an appointment's history as a sentence, with an icon and a colour."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from flask import Flask
from flask_babel import LazyString
from flask_babel import lazy_gettext as _l

from webapp import clock
from webapp.models.appointment import AppointmentStatus
from webapp.models.discrepancy import Action, Resolution
from webapp.models.history import EventKind, HistoryEvent
from webapp.sync.policies import Remedy
from webapp.views.delivery_words import trigger
from webapp.views.explanations import explain
from webapp.views.formats import ago, exact, instant_from
from webapp.views.wording import ACTIONS, RESOLUTIONS, STATUSES
from webapp.views.words import gettext as _


class Mark(NamedTuple):
    label: LazyString
    icon: str
    colour: str


MARKS = {
    EventKind.BOOKED: Mark(_l("Booked"), "calendar-plus", "blue"),
    EventKind.RESCHEDULED: Mark(_l("Moved"), "calendar-event", "blue"),
    EventKind.CANCELLED: Mark(_l("Cancelled"), "calendar-x", "blue"),
    EventKind.MARKED: Mark(_l("Marked"), "notes", "blue"),
    EventKind.EDITED: Mark(_l("Edited"), "notes", "blue"),
    EventKind.IMPORTED: Mark(_l("Taken over from Cal.com"), "cloud", "blue"),
    EventKind.SUPERSEDED: Mark(_l("Replaced by a newer change"), "arrow-right", "secondary"),
    EventKind.NOTHING_TO_PUSH: Mark(_l("Nothing to send to Cal.com"), "check", "secondary"),
    EventKind.PUSHED: Mark(_l("Carried to Cal.com"), "upload", "green"),
    EventKind.PUSH_RETRIES: Mark(_l("Did not arrive, is tried again"), "refresh", "yellow"),
    EventKind.PUSH_WAITS: Mark(_l("Waits before it is sent"), "clock", "yellow"),
    EventKind.PUSH_FAILED: Mark(_l("Could not be sent to Cal.com"), "x", "red"),
    EventKind.LEASE_LOST: Mark(_l("A worker stopped, another took over"), "refresh", "yellow"),
    EventKind.VERIFIED: Mark(_l("Both sides agree"), "shield-check", "green"),
    EventKind.MISMATCH: Mark(_l("The two sides differ"), "arrows-diff", "red"),
    EventKind.MISSING: Mark(_l("Found on one side only"), "cloud-question", "red"),
    EventKind.ABSENCE_SUSPECTED: Mark(
        _l("Not found on Cal.com, will be looked for again"), "eye", "yellow"
    ),
    EventKind.VERIFICATION_FAILED: Mark(_l("Could not be verified"), "x", "red"),
    EventKind.RETRY_REQUESTED: Mark(_l("Retry asked for"), "refresh", "blue"),
    EventKind.VERIFY_REQUESTED: Mark(_l("Verification asked for"), "eye", "blue"),
    EventKind.PUSH_REQUESTED: Mark(_l("Pushing again asked for"), "upload", "blue"),
    EventKind.HEALED: Mark(_l("Put right by itself"), "sparkles", "green"),
    EventKind.SETTLEMENT_REQUESTED: Mark(_l("Settling asked for"), "arrows-diff", "blue"),
    EventKind.RESOLVED: Mark(_l("Settled"), "circle-check", "green"),
    EventKind.FOUND_THERE: Mark(_l("Found on Cal.com, not here"), "cloud", "red"),
    EventKind.ADOPTED: Mark(_l("Found on Cal.com and taken over"), "cloud", "blue"),
    EventKind.RECOGNISED: Mark(_l("Its booking was found on Cal.com"), "search", "green"),
    EventKind.WEBHOOK_APPLIED: Mark(_l("Cal.com reported a change"), "webhook", "blue"),
    EventKind.ECHO_SUPPRESSED: Mark(
        _l("Cal.com echoed our own change: nothing done"), "webhook", "secondary"
    ),
    EventKind.PUSH_BACK_SUPPRESSED: Mark(
        _l("Came from Cal.com, so it is not sent back"), "shield-check", "secondary"
    ),
}
OPERATIONS: dict[str, LazyString] = {
    "create": _l("Booking made."),
    "reschedule": _l("Booking moved."),
    "cancel": _l("Booking cancelled."),
    "none": _l("It was as wished already."),
}
WISHES: dict[str, LazyString] = {
    "create": _l("The booking as it was first wanted was given up."),
    "reschedule": _l("The earlier move was given up."),
    "cancel": _l("The cancellation was given up."),
}

EDITED: dict[str, LazyString] = {
    "notes": _l("Notes changed."),
    "guests": _l("Guests changed."),
}
HEALED: dict[str, LazyString] = {
    Remedy.FOLLOW: _l("By your company's policy, Cal.com's version was taken."),
    Remedy.PUSH: _l("By your company's policy, ours is sent to Cal.com again."),
    Remedy.CREATE: _l("It had never reached Cal.com, so it is sent again."),
}


def register(app: Flask) -> None:
    app.jinja_env.globals["MARKS"] = MARKS
    app.add_template_filter(details)


def details(event: HistoryEvent) -> list[str]:
    """What there is to say beyond the event's name; a missing key leaves its sentence out."""
    tell = _TELLERS.get(event.kind)
    return [sentence for sentence in tell(event.data) if sentence] if tell else []


def _booked(data: Mapping[str, Any]) -> list[str]:
    return [_("For %(time)s.", time=_time(data, "starts_at"))] if _time(data, "starts_at") else []


def _moved(data: Mapping[str, Any]) -> list[str]:
    new, old = _time(data, "starts_at"), _time(data, "old_starts_at")
    if new and old:
        return [_("From %(old)s to %(new)s.", old=old, new=new)]
    return [_("To %(new)s.", new=new)] if new else []


def _cancelled(data: Mapping[str, Any]) -> list[str]:
    reason = data.get("reason")
    return [_("Reason: %(reason)s", reason=reason)] if reason else []


def _marked(data: Mapping[str, Any]) -> list[str]:
    """As what, and as what it stood before."""
    known = set(AppointmentStatus)
    new, old = data.get("status"), data.get("old_status")
    if new not in known:
        return []
    label = str(STATUSES[AppointmentStatus(new)].label)
    if old not in known:
        return [_("As: %(status)s.", status=label)]
    before = str(STATUSES[AppointmentStatus(old)].label)
    return [_("As: %(status)s. Before: %(before)s.", status=label, before=before)]


def _edited(data: Mapping[str, Any]) -> list[str]:
    return [str(EDITED[name]) for name in data.get("fields") or () if name in EDITED]


def _superseded(data: Mapping[str, Any]) -> list[str]:
    wish = str(WISHES.get(str(data.get("wish")), ""))
    return [wish, _reason(data)]


def _pushed(data: Mapping[str, Any]) -> list[str]:
    operation = OPERATIONS.get(str(data.get("operation")))
    mailed = _("Cal.com mailed the customer.") if data.get("mailed") else ""
    return [str(operation or ""), mailed]


def _postponed(data: Mapping[str, Any]) -> list[str]:
    again_at = instant_from(data.get("again_at"))
    if again_at is None or again_at <= clock.now():
        return [_reason(data)]
    return [_reason(data), _("Next try %(when)s.", when=ago(again_at))]


def _failed(data: Mapping[str, Any]) -> list[str]:
    detail = data.get("detail")
    return [_reason(data), _("Cal.com says: %(detail)s", detail=detail) if detail else ""]


def _healed(data: Mapping[str, Any]) -> list[str]:
    remedy = data.get("remedy")
    told = str(HEALED[str(remedy)]) if remedy in HEALED else ""
    mailed = _("Cal.com mails the customer about it.") if data.get("mails") else ""
    return [told, mailed]


def _resolved(data: Mapping[str, Any]) -> list[str]:
    known = data.get("resolution") in set(Resolution)
    label = str(RESOLUTIONS[Resolution(data["resolution"])]) if known else ""
    told = [label[:1].upper() + label[1:] + "."] if label else []
    note = data.get("note")
    return [*told, _("Reason: %(reason)s", reason=note)] if note else told


def _missed(data: Mapping[str, Any]) -> list[str]:
    cause = data.get("cause")
    why = _("Our change could not be carried there: %(why)s", why=explain(cause).meaning)
    return [_reason(data), why if cause else ""]


def _asked_for(data: Mapping[str, Any]) -> list[str]:
    known = data.get("action") in set(Action)
    return [str(ACTIONS[Action(data["action"])].label)] if known else []


def _reported(data: Mapping[str, Any]) -> list[str]:
    asked = _("The host asks to pick another time.") if data.get("asked_to_reschedule") else ""
    read = _("Cal.com was asked for this.") if data.get("was_read") else ""
    said = f"{trigger(data['trigger'])}." if data.get("trigger") else ""
    return [said, asked, read]


def _reason(data: Mapping[str, Any]) -> str:
    return str(explain(data["code"]).meaning) if data.get("code") else ""


def _time(data: Mapping[str, Any], key: str) -> str:
    instant = instant_from(data.get(key))
    return exact(instant) if instant else ""


_TELLERS: dict[EventKind, Callable[[Mapping[str, Any]], list[str]]] = {
    EventKind.BOOKED: _booked,
    EventKind.RESCHEDULED: _moved,
    EventKind.CANCELLED: _cancelled,
    EventKind.MARKED: _marked,
    EventKind.EDITED: _edited,
    EventKind.SUPERSEDED: _superseded,
    EventKind.PUSHED: _pushed,
    EventKind.PUSH_RETRIES: _postponed,
    EventKind.PUSH_WAITS: _postponed,
    EventKind.PUSH_FAILED: _failed,
    EventKind.VERIFICATION_FAILED: _failed,
    EventKind.HEALED: _healed,
    EventKind.MISSING: _missed,
    EventKind.SETTLEMENT_REQUESTED: _asked_for,
    EventKind.RESOLVED: _resolved,
    EventKind.WEBHOOK_APPLIED: _reported,
    EventKind.ECHO_SUPPRESSED: _reported,
}
