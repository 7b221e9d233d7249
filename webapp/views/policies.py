"""The company's policies: choose, see what they would have done in the last 30 days, then save."""

from typing import NamedTuple

from flask import Blueprint, flash, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import LazyString
from flask_babel import lazy_gettext as _l
from sqlalchemy import select
from sqlalchemy.orm import joinedload
from werkzeug.datastructures import MultiDict

from webapp import clock
from webapp.extensions import db
from webapp.models.appointment import Appointment
from webapp.models.company import Company, FieldPolicy, UnclaimedPolicy
from webapp.models.tenancy import require_company_id
from webapp.sync.decisions import Decision, decide
from webapp.sync.policies import MOST_MAILS_IN_WINDOW, Remedy
from webapp.sync.rehearsal import MOST, Rehearsal, rehearse
from webapp.views import htmx
from webapp.views.access import admins_only, require_person
from webapp.views.forms.settings import PoliciesForm
from webapp.views.pages import render_page
from webapp.views.wording import Badge
from webapp.views.words import gettext as _

blueprint = Blueprint("policies", __name__, url_prefix="/settings/policies")


class Option(NamedTuple):
    """One choice, and what follows from it."""

    title: LazyString
    effect: LazyString
    mails: bool = False


_FLAG = Option(_l("Flag it"), _l("A person decides in the review queue."))
OPTIONS: dict[str, dict[str, Option]] = {
    "start_policy": {
        FieldPolicy.FLAG: _FLAG,
        FieldPolicy.CALCOM_WINS: Option(
            _l("Take Cal.com's time"),
            _l("The appointment here moves with the booking there. Nobody is mailed."),
        ),
        FieldPolicy.OURS_WINS: Option(
            _l("Keep our time"),
            _l(
                "The booking is moved back on Cal.com, which mails the customer: %(most)d an hour"
                " at most, what is more waits for a person.",
                most=MOST_MAILS_IN_WINDOW,
            ),
            mails=True,
        ),
    },
    "status_policy": {
        FieldPolicy.FLAG: _FLAG,
        FieldPolicy.CALCOM_WINS: Option(
            _l("Take Cal.com's status"),
            _l("What was cancelled or confirmed there is so here. Nobody is mailed."),
        ),
        FieldPolicy.OURS_WINS: Option(
            _l("Keep our status"),
            _l(
                "What was cancelled there is booked anew, and what was cancelled here is cancelled"
                " there too. Cal.com mails the customer each time: %(most)d an hour at most, what"
                " is more waits for a person.",
                most=MOST_MAILS_IN_WINDOW,
            ),
            mails=True,
        ),
    },
    "unclaimed_policy": {
        UnclaimedPolicy.FLAG: Option(
            _l("Flag it"), _l("It is entered here, and a person decides what to do with it.")
        ),
        UnclaimedPolicy.ADOPT: Option(
            _l("Take it over"),
            _l("It becomes an appointment here at once, and the inbox tells of it."),
        ),
    },
    "managers_settle": {
        "yes": Option(
            _l("Admins and managers"), _l("Both may retry, push and settle what was found.")
        ),
        "no": Option(
            _l("Admins only"), _l("Managers go on booking, moving and cancelling appointments.")
        ),
    },
}
REMEDIES = {
    Remedy.FOLLOW: Badge(_l("Cal.com's version taken"), "green", "cloud"),
    Remedy.PUSH: Badge(_l("Ours pushed"), "yellow", "mail"),
    Remedy.FLAG: Badge(_l("Left to a person"), "secondary", "user"),
}


@blueprint.get("")
@admins_only
def show() -> ResponseReturnValue:
    """The form; with a choice in the address, what it would have done, too."""
    if not request.args:
        return _render(_form_of(_current()))
    form = PoliciesForm(request.args)
    if not form.validate():
        return _render(form), 422
    return _render(form, _decision(form))


@blueprint.post("")
@admins_only
def save() -> ResponseReturnValue:
    form = PoliciesForm(request.form)
    if not form.validate():
        return _render(form), 422
    is_changed = decide(db.session(), _decision(form), user_id=require_person().id, now=clock.now())
    db.session.commit()
    if is_changed:
        flash(_("Saved. These policies hold from the next verification on."), "success")
    else:
        flash(_("Nothing was changed: these policies hold already."), "info")
    return htmx.see_other(url_for(".show"))


def _render(form: PoliciesForm, chosen: Decision | None = None) -> str:
    rehearsal = chosen and rehearse(db.session(), chosen.policies, now=clock.now())
    return render_page(
        "settings/policies.html",
        form=form,
        options=OPTIONS,
        chosen=chosen,
        is_current=chosen == _current(),
        rehearsal=rehearsal,
        appointments=_sampled(rehearsal) if rehearsal else {},
        most=MOST,
        remedies=REMEDIES,
    )


def _current() -> Decision:
    return Decision.of(db.session.get_one(Company, require_company_id()))


def _form_of(decision: Decision) -> PoliciesForm:
    return PoliciesForm(
        MultiDict(
            {
                "start_policy": decision.start_policy.value,
                "status_policy": decision.status_policy.value,
                "unclaimed_policy": decision.unclaimed_policy.value,
                "managers_settle": "yes" if decision.managers_settle else "no",
            }
        )
    )


def _decision(form: PoliciesForm) -> Decision:
    return Decision(
        FieldPolicy(str(form.start_policy.data)),
        FieldPolicy(str(form.status_policy.data)),
        UnclaimedPolicy(str(form.unclaimed_policy.data)),
        form.managers_settle.data == "yes",
    )


def _sampled(rehearsal: Rehearsal) -> dict[int, Appointment]:
    """The appointments of the sample, with whom they are about."""
    query = (
        select(Appointment)
        .where(
            Appointment.company_id == require_company_id(),
            Appointment.id.in_({each.found.appointment_id for each in rehearsal.samples}),
        )
        .options(joinedload(Appointment.customer))
    )
    return {row.id: row for row in db.session.scalars(query)}
