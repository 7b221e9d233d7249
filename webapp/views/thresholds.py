"""The company's thresholds: managers see them, admins set them."""

from dataclasses import dataclass

from flask import Blueprint, flash, request
from flask.typing import ResponseReturnValue
from flask_babel import LazyString
from flask_babel import lazy_gettext as _l

from webapp import clock
from webapp.extensions import db
from webapp.models.audit import Actor, record_audit
from webapp.models.tenancy import require_company_id
from webapp.models.threshold import DEFAULT_BOUNDS, ThresholdKind, bounds, thresholds
from webapp.views import htmx
from webapp.views.access import acting, admins_only, require_person
from webapp.views.pages import render_page
from webapp.views.words import gettext as _

blueprint = Blueprint("thresholds", __name__, url_prefix="/settings/thresholds")

GREATEST = 100_000.0


@dataclass(frozen=True, slots=True)
class Wording:
    """What a bound is called and counted in."""

    label: LazyString
    unit: LazyString
    hint: LazyString


WORDS: dict[ThresholdKind, Wording] = {
    ThresholdKind.ORPHANS: Wording(
        _l("Orphans a day"), _l("at most"), _l("Found on one side only within 24 hours.")
    ),
    ThresholdKind.VERIFICATION_FAILURES: Wording(
        _l("Failed verifications an hour"), _l("at most"), _l("Cal.com could not be compared with.")
    ),
    ThresholdKind.QUEUE_LENGTH: Wording(
        _l("Findings in the review queue"), _l("at most"), _l("All that are open.")
    ),
    ThresholdKind.QUEUE_AGE: Wording(
        _l("Age of the oldest finding"), _l("hours at most"), _l("Nothing should lie for long.")
    ),
    ThresholdKind.SUCCESS_RATE: Wording(
        _l("Appointments in step"),
        _l("% at least"),
        _l("Of those made here within 24 hours; fewer than 20 say nothing."),
    ),
    ThresholdKind.LATENCY: Wording(
        _l("Time from a change to agreement"),
        _l("seconds at most"),
        _l("On average within an hour; fewer than 5 changes say nothing."),
    ),
}


@blueprint.get("")
@acting
def show() -> ResponseReturnValue:
    known = bounds(db.session())
    return _render({kind: _typed(known[kind]) for kind in ThresholdKind}, {})


@blueprint.post("")
@admins_only
def save() -> ResponseReturnValue:
    typed = {kind: request.form.get(kind.value, "").strip() for kind in ThresholdKind}
    read = {kind: _read(kind, text) for kind, text in typed.items()}
    wrong = {kind: value for kind, value in read.items() if isinstance(value, str)}
    if wrong:
        return _render(typed, wrong), 422
    changed = {}
    for kind, row in thresholds(db.session()).items():
        bound = read[kind]
        if row.bound != bound and not isinstance(bound, str):
            changed[kind.value] = [row.bound, bound]
            row.bound = bound
    if changed:
        _audit(changed)
    db.session.commit()
    flash(_("Saved. They are evaluated every five minutes."), "success")
    return htmx.see_other(request.path)


def _render(typed: dict[ThresholdKind, str], errors: dict[ThresholdKind, str]) -> str:
    return render_page(
        "settings/thresholds.html",
        typed=typed,
        errors=errors,
        words=WORDS,
        defaults={kind: _typed(bound) for kind, bound in DEFAULT_BOUNDS.items()},
    )


def _read(kind: ThresholdKind, text: str) -> float | str | None:
    """A bound; None where it is left empty; what is wrong with it, as text."""
    if not text:
        return None
    try:
        bound = float(text.replace(",", "."))
    except ValueError:
        return _("This is not a number.")
    most = 100.0 if kind is ThresholdKind.SUCCESS_RATE else GREATEST
    if not 0 <= bound <= most:
        return _("Between 0 and %(most)s.", most=_typed(most))
    return bound


def _typed(bound: float | None) -> str:
    return "" if bound is None else f"{bound:g}" if bound < 1e5 else f"{bound:.0f}"


def _audit(changed: dict[str, list[float | None]]) -> None:
    record_audit(
        db.session(),
        "thresholds.changed",
        f"company:{require_company_id()}",
        at=clock.now(),
        actor=Actor.USER,
        user_id=require_person().id,
        **changed,
    )
