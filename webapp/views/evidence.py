"""The evidence of a discrepancy in plain words: who moved what, from where to where."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from babel.dates import format_timedelta
from flask import Flask
from flask_babel import LazyString, get_locale
from flask_babel import lazy_gettext as _l

from webapp.models.discrepancy import Action, Discrepancy, DiscrepancyType
from webapp.sync.actions import is_second
from webapp.views.explanations import explain
from webapp.views.formats import ago, exact, instant_from
from webapp.views.wording import HELD_BACK
from webapp.views.words import gettext as _

FIELDS: dict[str, LazyString] = {
    "starts_at": _l("Start"),
    "ends_at": _l("End"),
    "status": _l("Status"),
}
STATUS_CLASSES: dict[str, LazyString] = {
    "accepted": _l("takes place"),
    "pending": _l("awaits confirmation"),
    "cancelled": _l("cancelled"),
}


class Difference(NamedTuple):
    """One field on both sides, and what they last agreed on; texts, a dash where unknown."""

    field: str
    name: str
    base: str
    ours: str
    theirs: str
    moved: str


ADVICE: dict[Action, LazyString] = {
    Action.TAKE_REMOTE: _l("Cal.com was changed and this desk was not: take Cal.com's version."),
    Action.KEEP_OURS: _l("This desk was changed and Cal.com was not: keep ours."),
    Action.CANCEL_REMOTE: _l("It was cancelled here: cancel it on Cal.com too."),
    Action.ADOPT: _l("Adopt it, or cancel it on Cal.com if it is not meant to take place."),
}
"""Where an action is suggested that says more than the code does."""


def register(app: Flask) -> None:
    app.add_template_filter(differences)
    app.add_template_filter(in_plain_words)
    app.add_template_filter(what_differs)
    app.add_template_filter(advise)
    app.add_template_filter(time_open)


def differences(evidence: Mapping[str, Any]) -> list[Difference]:
    """The fields that differ, ready to be set side by side."""
    fields = evidence.get("fields") or {}
    return [_difference(name, values or {}) for name, values in fields.items()]


def in_plain_words(discrepancy: Discrepancy) -> list[str]:
    """What happened, as sentences."""
    evidence = discrepancy.evidence
    at = _changed_at(evidence)
    sentences = what_differs(evidence, at) or [_meaning(discrepancy)]
    if cause := evidence.get("cause"):
        why = str(explain(str(cause)).meaning)
        sentences.append(_("Our change could not be carried there: %(why)s", why=why))
    if (held_back := evidence.get("held_back")) and not cause:
        sentences.append(_("Your policy leaves it to you: %(why)s", why=HELD_BACK[held_back]))
    changed_at = _changed_at(evidence)
    if changed_at is not None and not _is_told_of_theirs(evidence):
        sentences.append(_("Last changed on Cal.com %(ago)s.", ago=ago(changed_at)))
    return sentences


def _meaning(discrepancy: Discrepancy) -> str:
    if is_second(discrepancy):
        return _(
            "It carries the key of appointment #%(id)s, which has a booking of its own: two"
            " bookings for one appointment.",
            id=discrepancy.evidence["second_of"],
        )
    return str(explain(discrepancy.code).meaning)


def what_differs(evidence: Mapping[str, Any], at: datetime | None = None) -> list[str]:
    """The differing fields alone, a sentence each; `at` is when Cal.com's side changed."""
    return [_tell(difference, at) for difference in differences(evidence)]


def advise(discrepancy: Discrepancy, suggested: Action | None) -> str:
    """What is best done about it, as an instruction."""
    if is_second(discrepancy):
        return _("Cancel it on Cal.com; adopt it only if both are meant to take place.")
    if suggested in ADVICE and discrepancy.type is not DiscrepancyType.SYNC_FAILED:
        return str(ADVICE[suggested])
    return str(explain(discrepancy.code).advice)


def time_open(discrepancy: Discrepancy) -> str:
    """From finding to settling: `3 hours`."""
    length = discrepancy.time_to_resolution or timedelta()
    return format_timedelta(length, locale=get_locale())


def _changed_at(evidence: Mapping[str, Any]) -> datetime | None:
    return instant_from(evidence.get("remote_updated_at"))


def _is_told_of_theirs(evidence: Mapping[str, Any]) -> bool:
    """Whether a sentence names the time of Cal.com's change already."""
    fields = (evidence.get("fields") or {}).values()
    return any((values or {}).get("moved") == "theirs" for values in fields)


def _difference(name: str, values: Mapping[str, Any]) -> Difference:
    label = str(FIELDS.get(name, name))
    base, ours, theirs = (_as_text(values.get(side)) for side in ("base", "ours", "theirs"))
    return Difference(name, label, base, ours, theirs, str(values.get("moved") or ""))


def _as_text(value: object) -> str:
    if value is None:
        return "–"
    instant = instant_from(value)
    return exact(instant) if instant else str(STATUS_CLASSES.get(str(value), value))


def _tell(difference: Difference, at: datetime | None) -> str:
    if difference.field == "starts_at":
        return _tell_start(difference, at)
    if difference.field == "status":
        return _tell_status(difference, at)
    return _("%(name)s: here %(ours)s, on Cal.com %(theirs)s.", **difference._asdict())


def _tell_start(difference: Difference, at: datetime | None) -> str:
    ours, theirs = difference.ours, difference.theirs
    match difference.moved:
        case "theirs" if at is not None:
            return _(
                "Cal.com moved it to %(theirs)s, on %(at)s; ours is unchanged since both agreed.",
                theirs=theirs,
                at=exact(at),
            )
        case "theirs":
            return _(
                "Cal.com moved it to %(theirs)s; ours is unchanged since both agreed.",
                theirs=theirs,
            )
        case "ours":
            return _(
                "It was moved here to %(ours)s; Cal.com is unchanged since both agreed.", ours=ours
            )
        case "both":
            return _(
                "Both sides moved it: here to %(ours)s, on Cal.com to %(theirs)s.",
                ours=ours,
                theirs=theirs,
            )
    return _("Here it starts %(ours)s, on Cal.com %(theirs)s.", ours=ours, theirs=theirs)


def _tell_status(difference: Difference, at: datetime | None) -> str:
    ours, theirs = difference.ours, difference.theirs
    match difference.moved:
        case "theirs" if at is not None:
            return _(
                "On Cal.com it is: %(theirs)s, since %(at)s. Ours is unchanged since both agreed.",
                theirs=theirs,
                at=exact(at),
            )
        case "theirs":
            return _("On Cal.com it is now: %(theirs)s. Ours is unchanged.", theirs=theirs)
        case "ours":
            return _("Here it is now: %(ours)s. Cal.com is unchanged.", ours=ours)
    return _("Here it is: %(ours)s. On Cal.com: %(theirs)s.", ours=ours, theirs=theirs)
