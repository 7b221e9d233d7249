"""An incident in plain words: what the run saw, why it can't be believed, what may be behind it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from flask import Flask
from flask_babel import LazyString, ngettext
from flask_babel import lazy_gettext as _l

from webapp.models.incident import IncidentCause, Settlement
from webapp.views.formats import exact, instant_from, number
from webapp.views.words import gettext as _


class Cause(NamedTuple):
    """What it is called, where to look, and what the second way out means."""

    title: LazyString
    advice: LazyString
    flagging: LazyString
    effect: LazyString


_FLAG_THEM = _l("I have looked: flag them")
CAUSES: dict[str, Cause] = {
    IncidentCause.TOO_MANY_MISSING: Cause(
        _l("More appointments are missing on Cal.com than can be believed"),
        _l(
            "Look for some of them on Cal.com. If they are there, its answer was incomplete: run"
            " again. If they are really gone, for instance because an event type was deleted, have"
            " them flagged."
        ),
        _FLAG_THEM,
        _l(
            "Each is asked for once more, one by one. Those that Cal.com does not have are flagged"
            " and stand in the review queue. Nobody is mailed and nothing is changed on Cal.com."
        ),
    ),
    IncidentCause.THEIRS_EMPTY: Cause(
        _l("Cal.com suddenly shows no booking at all"),
        _l(
            "Open your calendar on Cal.com. If the bookings are there, its answer was wrong: run"
            " again. If it is empty, somebody has deleted them or the key belongs to another"
            " account."
        ),
        _FLAG_THEM,
        _l(
            "Each is asked for once more, one by one. Those that Cal.com does not have are flagged"
            " and stand in the review queue. Nobody is mailed and nothing is changed on Cal.com."
        ),
    ),
    IncidentCause.OURS_EMPTY: Cause(
        _l("Here there is suddenly no appointment left"),
        _l(
            "If your appointments are missing in this desk, tell your operator before anything"
            " else. Until then nothing of Cal.com's is entered here."
        ),
        _l("I have looked: enter them"),
        _l(
            "Every booking of your services on Cal.com is entered here and flagged, or taken over"
            " if your policy says so. Nobody is mailed."
        ),
    ),
    IncidentCause.OTHER_ACCOUNT: Cause(
        _l("The API key belongs to another Cal.com account than before"),
        _l(
            "If somebody put in the wrong key, have an admin set the right one and run again. If"
            " your company has moved to the other account, say so: then it is compared with that"
            " one."
        ),
        _l("I have looked: this is our account"),
        _l(
            "From now on the other account is your company's. Everything is compared with it, and"
            " whatever is missing there in great number opens an incident again."
        ),
    ),
}
UNKNOWN = Cause(
    _l("A verification cannot be believed"),
    _l("Compare some appointments with Cal.com, then run again."),
    _FLAG_THEM,
    _l("What the verification found is flagged and stands in the review queue."),
)
SETTLEMENTS: dict[Settlement, LazyString] = {
    Settlement.RAN_AGAIN: _l("Run again"),
    Settlement.FLAGGED: _l("Looked at and taken as it is"),
    Settlement.BY_ITSELF: _l("Settled by itself: a later verification found nothing of the kind"),
}


def register(app: Flask) -> None:
    app.jinja_env.globals["SETTLEMENTS"] = SETTLEMENTS
    app.add_template_filter(cause_of)
    app.add_template_filter(suspicions)


def cause_of(evidence: Mapping[str, Any]) -> Cause:
    return CAUSES.get(str(evidence.get("cause")), UNKNOWN)


def suspicions(evidence: Mapping[str, Any]) -> list[str]:
    """What the run saw, as sentences; a figure that is not there leaves its sentence out."""
    told = (_tell_figures(evidence), _tell_account(evidence), _tell_listing(evidence))
    return [sentence for sentence in told if sentence]


def _tell_figures(evidence: Mapping[str, Any]) -> str:
    """What may be flagged at once is a share of those to come; what is missing need not be."""
    is_looked_for = "missing" in evidence
    missing = evidence.get("missing", evidence.get("unseen"))
    if missing is None or "active" not in evidence:
        return ""
    figures = {
        "missing": number(missing),
        "expected": number(max(evidence.get("expected") or 0, missing)),
        "active": number(evidence["active"]),
        "threshold": number(evidence.get("threshold") or 0),
    }
    if is_looked_for:
        return _(
            "%(missing)s of %(expected)s appointments would newly be marked as missing. With"
            " %(active)s active ones, more than %(threshold)s at once are not believed.",
            **figures,
        )
    return _(
        "%(missing)s of %(expected)s appointments were not in Cal.com's listing. With %(active)s"
        " active ones, more than %(threshold)s at once are not believed.",
        **figures,
    )


def _tell_account(evidence: Mapping[str, Any]) -> str:
    account = (evidence.get("account") or {}).get("name")
    known = (evidence.get("known_account") or {}).get("name")
    if not account:
        return ""
    if evidence.get("cause") == IncidentCause.OTHER_ACCOUNT:
        return _(
            "The key belongs to the account %(account)s; so far it was %(known)s.",
            account=account,
            known=known or "–",
        )
    return _("The account that answered is %(account)s, as always.", account=account)


def _tell_listing(evidence: Mapping[str, Any]) -> str:
    listings = evidence.get("listings")
    if not listings:
        return ""
    read = str(
        ngettext(
            "The listing was read to its end: %(listed)s bookings on %(num)s page",
            "The listing was read to its end: %(listed)s bookings on %(num)s pages",
            listings,
            listed=number(evidence.get("listed", 0)),
        )
    )
    since = instant_from(evidence.get("window_from"))
    return _("%(read)s, from %(since)s on.", read=read, since=exact(since)) if since else f"{read}."
