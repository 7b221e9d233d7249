"""Settling a finding: a button each, asking first only where a customer would be mailed, something
can't be undone, or a reason is needed."""

from typing import NamedTuple

from flask import Blueprint, Flask, abort, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import LazyString
from flask_babel import lazy_gettext as _l

from webapp import clock
from webapp.extensions import db
from webapp.jobs.queues import enqueue_push, enqueue_verification
from webapp.models.appointment import Appointment
from webapp.models.discrepancy import Action, Discrepancy
from webapp.models.intent import IntentKind
from webapp.sync.actions import MAILING, NEEDS_REASON, actions_for, ends_appointment, suggest
from webapp.sync.mailing import Mail, foresee_mail, foresee_mail_of_pushing_again
from webapp.sync.settlement import NotOffered, Started, settle_finding
from webapp.views import htmx
from webapp.views.access import require_person, settlers_only
from webapp.views.forms.appointments import CancellationForm, DismissalForm, ReasonForm
from webapp.views.pages import render_page
from webapp.views.review_queue import queue_address
from webapp.views.reviews import find_or_absent, render_row
from webapp.views.words import gettext as _

blueprint = Blueprint("settlements", __name__, url_prefix="/reviews")

NOUNS = {
    Action.RETRY: "retries",
    Action.PUSH_AGAIN: "pushes",
    Action.TAKE_REMOTE: "takeovers",
    Action.KEEP_OURS: "keepings",
    Action.ADOPT: "adoptions",
    Action.CANCEL_REMOTE: "cancellations",
    Action.DISMISS: "dismissals",
}
REFUSALS: dict[str, LazyString] = {
    "settled": _l("Nothing was started: it has been settled meanwhile."),
    "busy": _l("Nothing was started: it is being worked on already."),
    "not_offered": _l("Nothing was started: as things stand now, this cannot be done."),
}


class Ask(NamedTuple):
    """What a person is asked before it is done."""

    question: LazyString
    explanation: LazyString


_QUESTIONS = {
    Action.PUSH_AGAIN: Ask(
        _l("Push this appointment to Cal.com again?"),
        _l(
            "Cal.com is made to say what this desk says. Lockstep looks first whether the booking"
            " is there after all, so that none is made twice."
        ),
    ),
    Action.KEEP_OURS: Ask(
        _l("Keep our version?"),
        _l("Cal.com is made to say what this desk says. Lockstep looks first how it stands now."),
    ),
    Action.TAKE_REMOTE: Ask(
        _l("Take Cal.com's version?"),
        _l(
            "The appointment will be cancelled here. Cal.com is read once more before; nobody is"
            " mailed, and the cancellation cannot be undone."
        ),
    ),
    Action.CANCEL_REMOTE: Ask(
        _l("Cancel this booking on Cal.com?"),
        _l("The booking ends on Cal.com, and the appointment here with it."),
    ),
    Action.DISMISS: Ask(
        _l("Dismiss this finding?"),
        _l(
            "Nothing is changed on either side. It leaves the queue and comes back only if"
            " something else is found."
        ),
    ),
}


def register(app: Flask) -> None:
    app.jinja_env.globals["NOUNS"] = NOUNS
    for shape in (needs_question, suggest_for, offered_for):
        app.add_template_filter(shape)


def needs_question(finding: Discrepancy, action: Action, appointment: Appointment) -> bool:
    """Whether the button asks before it does anything."""
    return action in MAILING | NEEDS_REASON or ends_appointment(finding, appointment, action)


def suggest_for(finding: Discrepancy, appointment: Appointment) -> Action | None:
    return suggest(finding, appointment, clock.now())


def offered_for(finding: Discrepancy, appointment: Appointment) -> tuple[Action, ...]:
    """What the page of the appointment offers beside its own Retry."""
    offered = actions_for(finding, appointment, clock.now())
    return tuple(action for action in offered if action is not Action.RETRY)


def confirm(discrepancy_id: int, action: Action) -> ResponseReturnValue:
    return _ask(find_or_absent(discrepancy_id), action, _form_of(action))


def settle(discrepancy_id: int, action: Action) -> ResponseReturnValue:
    form = _form_of(action)
    finding = find_or_absent(discrepancy_id)
    if form is not None and not form.validate():
        return htmx.in_place_of("#confirmation", _ask(finding, action, form)), 422
    try:
        started = settle_finding(
            db.session(),
            discrepancy_id,
            action,
            now=clock.now(),
            user_id=require_person().id,
            note=form.reason.data if form is not None else None,
        )
    except NotOffered as refusal:
        db.session.rollback()
        return _answer(discrepancy_id, str(REFUSALS[refusal.reason]), is_refused=True)
    db.session.commit()
    _enqueue(started)
    return _answer(discrepancy_id, _said(started))


def _enqueue(started: Started) -> None:
    company_id = require_person().company_id
    enqueue_push(company_id, started.intent_id)
    if started.is_verifying:
        enqueue_verification(company_id, started.appointment_id)


def _said(started: Started) -> str:
    if started.intent_id is not None:
        return _("On its way to Cal.com.")
    return _("Verifying now.") if started.is_verifying else _("Dismissed.")


def _answer(discrepancy_id: int, text: str, *, is_refused: bool = False) -> ResponseReturnValue:
    """The row under htmx, with why nothing happened; else a flash on the page one came from."""
    finding = find_or_absent(discrepancy_id)
    if htmx.is_htmx() and not _is_from_appointment():
        return render_row(finding, note=text if is_refused else "")
    flash(text, "warning" if is_refused else "success")
    return htmx.see_other(_way_back(finding))


def _ask(finding: Discrepancy, action: Action, form: ReasonForm | None) -> str:
    asked = _QUESTIONS.get(action)
    if asked is None:
        abort(405)
    context = {
        "finding": finding,
        "appointment": finding.appointment,
        "action_name": action,
        "asked": asked,
        "form": form,
        "mails": action in MAILING,
        "mail": _foresee(action, finding.appointment),
        "action": url_for(
            f".{NOUNS[action]}",
            discrepancy_id=finding.id,
            back=request.values.get("back") or None,
        ),
        "back": _way_back(finding),
        "is_from_appointment": _is_from_appointment(),
    }
    if htmx.is_htmx():
        return render_template("reviews/_confirmation.html", in_dialog=True, **context)
    return render_page("reviews/confirm.html", in_dialog=False, **context)


def _foresee(action: Action, appointment: Appointment) -> Mail:
    """Whether Cal.com will mail the customer; a push looks first, a cancellation is one."""
    if action is Action.CANCEL_REMOTE:
        return foresee_mail(db.session(), appointment, IntentKind.CANCEL)
    return foresee_mail_of_pushing_again(db.session(), appointment)


def _form_of(action: Action) -> ReasonForm | None:
    given = request.form if request.method == "POST" else None
    match action:
        case Action.DISMISS:
            return DismissalForm(given)
        case Action.CANCEL_REMOTE:
            return CancellationForm(given)
    return None


def _is_from_appointment() -> bool:
    return request.values.get("from") == "appointment"


def _way_back(finding: Discrepancy) -> str:
    if _is_from_appointment():
        return url_for("appointments.show", appointment_id=finding.appointment_id)
    return queue_address(request.values.get("back", ""))


def _register(action: Action, noun: str) -> None:
    """`POST /reviews/<id>/<noun>`, and the question before it where there is one."""
    address = f"/<int:discrepancy_id>/{noun}"

    @settlers_only
    def post(discrepancy_id: int) -> ResponseReturnValue:
        return settle(discrepancy_id, action)

    @settlers_only
    def get(discrepancy_id: int) -> ResponseReturnValue:
        return confirm(discrepancy_id, action)

    blueprint.add_url_rule(address, noun, post, methods=["POST"])
    if action in _QUESTIONS:
        blueprint.add_url_rule(address, f"confirm_{noun}", get, methods=["GET"])


for _action, _noun in NOUNS.items():
    _register(_action, _noun)
