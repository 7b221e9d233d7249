"""The evidence of a discrepancy in plain words: who moved what, from where to where."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from flask import Flask
from flask_babel import LazyString
from flask_babel import lazy_gettext as _l

from webapp.models.discrepancy import Discrepancy
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


def register(app: Flask) -> None:
    app.add_template_filter(differences)
    app.add_template_filter(in_plain_words)
    app.add_template_filter(what_differs)


def differences(evidence: Mapping[str, Any]) -> list[Difference]:
    """The fields that differ, ready to be set side by side."""
    fields = evidence.get("fields") or {}
    return [_difference(name, values or {}) for name, values in fields.items()]


def in_plain_words(discrepancy: Discrepancy) -> list[str]:
    """What happened, as sentences."""
    evidence = discrepancy.evidence
    sentences = what_differs(evidence) or [str(explain(discrepancy.code).meaning)]
    if cause := evidence.get("cause"):
        why = str(explain(str(cause)).meaning)
        sentences.append(_("Our change could not be carried there: %(why)s", why=why))
    if (held_back := evidence.get("held_back")) and not cause:
        sentences.append(_("Your policy leaves it to you: %(why)s", why=HELD_BACK[held_back]))
    changed_at = instant_from(evidence.get("remote_updated_at"))
    if changed_at is not None:
        sentences.append(_("Last changed on Cal.com %(ago)s.", ago=ago(changed_at)))
    return sentences


def what_differs(evidence: Mapping[str, Any]) -> list[str]:
    """The differing fields alone, a sentence each."""
    return [_tell(difference) for difference in differences(evidence)]


def _difference(name: str, values: Mapping[str, Any]) -> Difference:
    label = str(FIELDS.get(name, name))
    base, ours, theirs = (_as_text(values.get(side)) for side in ("base", "ours", "theirs"))
    return Difference(name, label, base, ours, theirs, str(values.get("moved") or ""))


def _as_text(value: object) -> str:
    if value is None:
        return "–"
    instant = instant_from(value)
    return exact(instant) if instant else str(STATUS_CLASSES.get(str(value), value))


def _tell(difference: Difference) -> str:
    if difference.field == "starts_at":
        return _tell_start(difference)
    if difference.field == "status":
        return _tell_status(difference)
    return _("%(name)s: here %(ours)s, on Cal.com %(theirs)s.", **difference._asdict())


def _tell_start(difference: Difference) -> str:
    ours, theirs = difference.ours, difference.theirs
    match difference.moved:
        case "theirs":
            return _("Cal.com moved it to %(theirs)s; ours is unchanged.", theirs=theirs)
        case "ours":
            return _("It was moved here to %(ours)s; Cal.com is unchanged.", ours=ours)
        case "both":
            return _(
                "Both sides moved it: here to %(ours)s, on Cal.com to %(theirs)s.",
                ours=ours,
                theirs=theirs,
            )
    return _("Here it starts %(ours)s, on Cal.com %(theirs)s.", ours=ours, theirs=theirs)


def _tell_status(difference: Difference) -> str:
    ours, theirs = difference.ours, difference.theirs
    match difference.moved:
        case "theirs":
            return _("On Cal.com it is now: %(theirs)s. Ours is unchanged.", theirs=theirs)
        case "ours":
            return _("Here it is now: %(ours)s. Cal.com is unchanged.", ours=ours)
    return _("Here it is: %(ours)s. On Cal.com: %(theirs)s.", ours=ours, theirs=theirs)
