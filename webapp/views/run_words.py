"""A run in words: why it looked, what it is doing, how far it is, what it left out and why."""

from datetime import timedelta
from enum import StrEnum

from flask import Flask
from flask_babel import LazyString
from flask_babel import lazy_gettext as _l

from webapp.models.run import Run, RunPhase, RunScope, RunStatus
from webapp.views.formats import number
from webapp.views.wording import Badge
from webapp.views.words import gettext as _

RUN_SCOPES: dict[RunScope, LazyString] = {
    RunScope.SCHEDULED: _l("Every few hours"),
    RunScope.FULL: _l("Nightly, everything"),
    RunScope.DELTA: _l("What changed on Cal.com"),
    RunScope.REQUESTED: _l("On request"),
    RunScope.IMPORT: _l("First import"),
}
RUN_STATUSES: dict[StrEnum, Badge] = {
    RunStatus.RUNNING: Badge(_l("Running"), "yellow", "clock"),
    RunStatus.DONE: Badge(_l("Done"), "green", "check"),
    RunStatus.FAILED: Badge(_l("Ended early"), "red", "x"),
    RunStatus.STOPPED: Badge(_l("Stopped"), "secondary", "player-stop"),
}
PHASES: dict[RunPhase, LazyString] = {
    RunPhase.LISTING: _l("Reading Cal.com's listing, page by page"),
    RunPhase.DOUBTS: _l("Looking one by one at what the listing left open"),
    RunPhase.ABSENCES: _l("Settling what is missing"),
}
SKIPS: dict[str, LazyString] = {
    "attendee_unreachable": _l("nobody on the booking can be reached"),
    "being_looked_at": _l("being looked at because somebody asked"),
    "changed_meanwhile": _l("changed here while it was looked at"),
    "claimed_by_another": _l("the booking belongs to another appointment"),
    "claimed_elsewhere": _l("the booking belongs to somebody else"),
    "claimed_meanwhile": _l("the booking found its appointment meanwhile"),
    "held_back": _l("held back until the other side can be trusted"),
    "incomplete": _l("the booking says too little"),
    "just_changed": _l("changed on Cal.com a moment ago"),
    "just_made": _l("made on Cal.com a moment ago"),
    "just_written": _l("written to Cal.com a moment ago"),
    "long_past": _l("long past"),
    "no_event_type": _l("its service has no event type"),
    "not_due": _l("nothing to be said of it now"),
    "not_live": _l("cancelled on Cal.com, and nobody here knew it"),
    "not_our_service": _l("not one of your services"),
    "older_than_base": _l("Cal.com showed an older state than the one agreed on"),
    "on_its_way": _l("a change is on its way to Cal.com"),
    "truncated": _l("the listing was cut short"),
    "unknown_status": _l("Cal.com names a status that is not known"),
    "verified_lately": _l("seen to agree since the last slot"),
}


def register(app: Flask) -> None:
    app.jinja_env.globals.update(RUN_SCOPES=RUN_SCOPES, RUN_STATUSES=RUN_STATUSES, PHASES=PHASES)
    for shape in (lasting, skipped_because, seen_count, per_listing):
        app.add_template_filter(shape)


def lasting(length: timedelta) -> str:
    """`4 s`, `3 min 20 s`, `1 h 5 min`."""
    seconds = max(0, round(length.total_seconds()))
    if seconds < 60:
        return _("%(seconds)s s", seconds=seconds)
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return _("%(minutes)s min %(seconds)s s", minutes=minutes, seconds=seconds)
    return _("%(hours)s h %(minutes)s min", hours=minutes // 60, minutes=minutes % 60)


def skipped_because(run: Run) -> list[tuple[str, int]]:
    """Why how many were left out, most first; a reason without words keeps its name."""
    counted = sorted(run.skipped.items(), key=lambda item: (-item[1], item[0]))
    return [(str(SKIPS.get(reason, reason)), count) for reason, count in counted]


def seen_count(run: Run) -> int:
    """How many of the expected appointments are behind the run; what came new meanwhile may make
    it more than were expected."""
    return min(run.compared_count + run.skipped_count + run.error_count, run.expected_count)


def per_listing(run: Run) -> str:
    """How many appointments one listing verified."""
    return number(round(run.compared_count / run.listing_count)) if run.listing_count else "–"
