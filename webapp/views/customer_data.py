"""A customer's rights: everything that is kept about them as a file, and its removal (S12.7)."""

import json

from flask import Blueprint, Response, flash, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import ngettext

from webapp import clock
from webapp.extensions import db
from webapp.models.audit import Actor, record_audit
from webapp.models.customer import Customer
from webapp.sync.erasure import NotErasable, erase_customer, export_customer
from webapp.views import htmx, reauthentication
from webapp.views.access import admins_only, find_or_404, require_person
from webapp.views.forms.access import ConfirmedForm
from webapp.views.forms.fields import refuse
from webapp.views.pages import render_page
from webapp.views.words import gettext as _

blueprint = Blueprint("customer_data", __name__, url_prefix="/customers/<int:customer_id>")


@blueprint.post("/exports")
@admins_only
def export(customer_id: int) -> ResponseReturnValue:
    """A file of JSON; that it was taken stands in the audit log."""
    customer = find_or_404(Customer, customer_id)
    everything = export_customer(db.session(), customer.id)
    record_audit(
        db.session(),
        "customer.exported",
        f"customer:{customer_id}",
        at=clock.now(),
        actor=Actor.USER,
        user_id=require_person().id,
    )
    db.session.commit()
    text = json.dumps(everything, ensure_ascii=False, indent=2, default=str)
    name = f"customer-{customer_id}.json"
    return Response(
        text,
        mimetype="application/json",
        headers={"Content-Disposition": f"attachment; filename={name}"},
    )


@blueprint.get("/erasures")
@admins_only
def confirm(customer_id: int) -> ResponseReturnValue:
    return _render(find_or_404(Customer, customer_id), ConfirmedForm())


@blueprint.post("/erasures")
@reauthentication.throttled
@admins_only
def erase(customer_id: int) -> ResponseReturnValue:
    customer, form = find_or_404(Customer, customer_id), ConfirmedForm(request.form)
    if not form.validate() or not reauthentication.is_confirmed(form):
        return _render(customer, form), 422
    try:
        erase_customer(
            db.session(),
            customer_id,
            actor=Actor.USER,
            user_id=require_person().id,
            now=clock.now(),
        )
    except NotErasable as error:
        db.session.rollback()
        refuse(form.current, _why_not(error))
        return _render(find_or_404(Customer, customer_id), form), 422
    db.session.commit()
    flash(_("Erased. The appointments stay, without a name."), "success")
    return htmx.see_other(url_for("customers.show", customer_id=customer_id))


def _why_not(error: NotErasable) -> str:
    if error.reason == NotErasable.UPCOMING:
        return str(
            ngettext(
                "%(num)s appointment is still to come: cancel it first, so that Cal.com knows.",
                "%(num)s appointments are still to come: cancel them first, so that Cal.com knows.",
                error.count,
            )
        )
    return _("Something about this customer is still under way: try again in a moment.")


def _render(customer: Customer, form: ConfirmedForm) -> str:
    return render_page("customers/erasure.html", customer=customer, form=form)
