"""Customers: found by the beginning of name, e-mail or phone; seen with their appointments."""

from flask import Blueprint, flash, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import Select, select, tuple_
from sqlalchemy.orm import joinedload

from webapp import clock
from webapp.extensions import db
from webapp.models.appointment import Appointment
from webapp.models.customer import Customer
from webapp.models.tenancy import require_company_id
from webapp.sync.customers import (
    Contact,
    CustomerUnreachable,
    InvalidEmail,
    InvalidPhone,
    OnFile,
    add_customer,
    change_customer,
)
from webapp.views import htmx
from webapp.views.access import acting, find_or_404, is_id, require_person
from webapp.views.appointment_list import matches_customer
from webapp.views.forms.catalog import CustomerForm
from webapp.views.forms.fields import refuse
from webapp.views.pages import render_page
from webapp.views.paging import PAGE_SIZE
from webapp.views.words import gettext as _

blueprint = Blueprint("customers", __name__, url_prefix="/customers")

APPOINTMENTS = 25
"""The latest ones stand on a customer's page; the list of appointments has them all."""


@blueprint.get("")
def index() -> ResponseReturnValue:
    text = request.args.get("q", "").strip()[:100]
    query = _query(text, request.args.get("after", ""))
    rows = list(db.session.scalars(query.limit(PAGE_SIZE + 1)))
    return render_page(
        "customers/index.html",
        customers=rows[:PAGE_SIZE],
        next_cursor=rows[PAGE_SIZE - 1].id if len(rows) > PAGE_SIZE else None,
        text=text,
    )


@blueprint.get("/<int:customer_id>")
def show(customer_id: int) -> ResponseReturnValue:
    customer = find_or_404(Customer, customer_id)
    latest = (
        select(Appointment)
        .where(
            Appointment.company_id == require_company_id(), Appointment.customer_id == customer.id
        )
        .options(joinedload(Appointment.service))
        .order_by(Appointment.starts_at.desc(), Appointment.id.desc())
        .limit(APPOINTMENTS + 1)
    )
    found = list(db.session.scalars(latest))
    return render_page(
        "customers/show.html",
        customer=customer,
        appointments=found[:APPOINTMENTS],
        has_more=len(found) > APPOINTMENTS,
    )


@blueprint.get("/new")
@acting
def new() -> ResponseReturnValue:
    person = require_person()
    form = CustomerForm(data={"time_zone": person.time_zone, "language": person.locale})
    return _render(form)


@blueprint.post("")
@acting
def create() -> ResponseReturnValue:
    form = CustomerForm(request.form)
    if form.validate() and (customer_id := _save(form, None)) is not None:
        flash(_("The customer is on file."), "success")
        return htmx.see_other(url_for(".show", customer_id=customer_id))
    return _render(form), 422


@blueprint.get("/<int:customer_id>/edit")
@acting
def edit(customer_id: int) -> ResponseReturnValue:
    customer = find_or_404(Customer, customer_id)
    if customer.erased_at is not None:
        return _say_erased(customer_id)
    return _render(CustomerForm(obj=customer), customer)


@blueprint.post("/<int:customer_id>")
@acting
def update(customer_id: int) -> ResponseReturnValue:
    customer, form = find_or_404(Customer, customer_id), CustomerForm(request.form)
    if customer.erased_at is not None:
        return _say_erased(customer_id)
    if form.validate() and _save(form, customer) is not None:
        flash(_("Saved. Bookings on Cal.com keep what they were made with."), "success")
        return htmx.see_other(url_for(".show", customer_id=customer_id))
    return _render(form, find_or_404(Customer, customer_id)), 422


def _say_erased(customer_id: int) -> ResponseReturnValue:
    flash(_("This customer was erased."), "error")
    return htmx.see_other(url_for(".show", customer_id=customer_id))


def _save(form: CustomerForm, customer: Customer | None) -> int | None:
    """Write and commit; None, with an error in the form, where it can't be."""
    contact = Contact(
        name=form.name.data or "",
        email=form.email.data,
        phone=form.phone.data,
        time_zone=form.time_zone.data or "",
        language=form.language.data or "",
    )
    try:
        if customer is None:
            customer = add_customer(db.session(), contact, now=clock.now())
        else:
            change_customer(db.session(), customer, contact)
    except CustomerUnreachable:
        refuse(form.email, _("Enter an e-mail address or a phone number."))
    except InvalidEmail:
        refuse(form.email, _("This is not an e-mail address."))
    except InvalidPhone:
        refuse(form.phone, _("Write the number with its country code, for example +49 30 123456."))
    except OnFile as twin:
        refuse(form.email, _("%(name)s has this e-mail already.", name=twin.name))
    else:
        customer_id = customer.id
        db.session.commit()
        return customer_id
    db.session.rollback()
    return None


def _query(text: str, after: str) -> Select[Customer]:
    """By name; `after` is the last customer of the page before."""
    query = select(Customer).where(Customer.company_id == require_company_id())
    if text:
        query = query.where(matches_customer(text))
    last = db.session.get(Customer, (require_company_id(), int(after))) if is_id(after) else None
    if last is not None:
        query = query.where(
            tuple_(Customer.name_folded, Customer.id) > tuple_(last.name_folded, last.id)
        )
    return query.order_by(Customer.name_folded, Customer.id)


def _render(form: CustomerForm, customer: Customer | None = None) -> str:
    return render_page("customers/form.html", form=form, customer=customer)
