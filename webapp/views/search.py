"""Searching everything: pages, customers, appointments, services of the reader's company. A page of
its own, and under htmx the list inside the command palette."""

from collections.abc import Callable
from dataclasses import dataclass, field

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import LazyString
from flask_babel import lazy_gettext as _l
from sqlalchemy import Select, select
from sqlalchemy.orm import joinedload

from webapp.extensions import db
from webapp.models.appointment import Appointment, BookingAlias
from webapp.models.base import fold
from webapp.models.company import Company
from webapp.models.customer import Customer
from webapp.models.service import Service
from webapp.models.tenancy import require_company_id
from webapp.views import htmx
from webapp.views.access import Person, is_id, require_person
from webapp.views.appointment_list import matches_customer, starts_with
from webapp.views.appointments import company_services
from webapp.views.formats import exact
from webapp.views.pages import render_page
from webapp.views.wording import STATUSES
from webapp.views.words import gettext as _

blueprint = Blueprint("search", __name__, url_prefix="/search")

MOST_OF_A_KIND = 6
LONGEST_QUERY = 100
SHORTEST_UID = 6
"""A uid's first letters say too little before that."""


@dataclass(frozen=True)
class Page:
    """A screen that can be gone to, and who may."""

    endpoint: str
    label: LazyString
    icon: str
    is_for: Callable[[Person], bool] = lambda _person: True


PAGES = (
    Page("overview.show", _l("Overview"), "layout-dashboard"),
    Page("appointments.index", _l("Appointments"), "calendar"),
    Page("calendar.show", _l("Calendar"), "calendar-week"),
    Page("booking.new", _l("New appointment"), "calendar-plus", lambda person: person.may_act),
    Page("reviews.index", _l("Review queue"), "checklist"),
    Page("bulk_actions.index", _l("Bulk actions"), "list-check"),
    Page("notifications.index", _l("Inbox"), "inbox"),
    Page("services.index", _l("Services"), "briefcase"),
    Page("deliveries.index", _l("Deliveries"), "webhook"),
    Page("runs.index", _l("Verifications"), "shield-check"),
    Page("monitoring.show", _l("Monitoring"), "activity"),
    Page("audit.index", _l("Audit log"), "shield-check", lambda person: person.may_act),
    Page("customers.index", _l("Customers"), "address-book"),
    Page("saved_views.index", _l("Saved views"), "bookmark"),
    Page("guidance.errors", _l("Error codes"), "help"),
    Page("settings.show", _l("Settings"), "settings", lambda person: person.is_admin),
    Page("profile.show", _l("Profile"), "user-circle"),
)


@dataclass(frozen=True)
class Result:
    label: str
    detail: str
    icon: str
    url: str


@dataclass(frozen=True)
class Group:
    name: str
    results: list[Result] = field(default_factory=list)


@blueprint.get("")
def show() -> ResponseReturnValue:
    text = request.args.get("q", "").strip()[:LONGEST_QUERY]
    groups = [group for group in find_everything(text) if group.results]
    numbered = [(group.name, list(group.results)) for group in groups]
    context = {"text": text, "groups": numbered, "count": sum(len(each[1]) for each in numbered)}
    if htmx.is_htmx():
        return render_template("search/_results.html", in_palette=True, **context)
    return render_page("search/show.html", in_palette=False, **context)


def find_everything(text: str) -> list[Group]:
    """What begins like the text; without one the pages alone. Six queries at most."""
    pages = Group(_("Pages"), _find_pages(text))
    if not text:
        return [pages]
    customers = _find_customers(text)
    return [
        Group(_("Appointments"), _find_appointments(text, [each.id for each in customers])),
        Group(_("Customers"), [_of_customer(each) for each in customers]),
        Group(_("Services"), _find_services(text)),
        pages,
    ]


def _find_pages(text: str) -> list[Result]:
    person, wanted = require_person(), fold(text)
    return [
        Result(str(page.label), "", page.icon, url_for(page.endpoint))
        for page in PAGES
        if page.is_for(person) and wanted in fold(str(page.label))
    ]


def _find_customers(text: str) -> list[Customer]:
    query = select(Customer).where(
        Customer.company_id == require_company_id(), matches_customer(text)
    )
    ordered = query.order_by(Customer.name_folded, Customer.id)
    return list(db.session.scalars(ordered.limit(MOST_OF_A_KIND)))


def _of_customer(customer: Customer) -> Result:
    reached = " · ".join(filter(None, (customer.email, customer.phone)))
    address = url_for("customers.show", customer_id=customer.id)
    return Result(customer.name, reached, "user", address)


def _find_appointments(text: str, customer_ids: list[int]) -> list[Result]:
    """By number first, then by uid, then those of the customers found, the latest on top."""
    number = text.removeprefix("#")
    found: dict[int, Appointment] = {}
    if is_id(number):
        _take(found, _appointments().where(Appointment.id == int(number)))
    if len(text) >= SHORTEST_UID and " " not in text:
        _take(found, _appointments().where(Appointment.id.in_(_with_uid(text))))
    if customer_ids and len(found) < MOST_OF_A_KIND:
        of_customers = _appointments().where(Appointment.customer_id.in_(customer_ids))
        _take(found, of_customers.order_by(Appointment.starts_at.desc(), Appointment.id.desc()))
    return [_of_appointment(each) for each in list(found.values())[:MOST_OF_A_KIND]]


def _appointments() -> Select[Appointment]:
    return (
        select(Appointment)
        .where(Appointment.company_id == require_company_id())
        .options(joinedload(Appointment.customer), joinedload(Appointment.service))
        .limit(MOST_OF_A_KIND)
    )


def _take(found: dict[int, Appointment], query: Select[Appointment]) -> None:
    for appointment in db.session.scalars(query):
        found.setdefault(appointment.id, appointment)


def _with_uid(text: str) -> Select[int]:
    """Appointments whose present or earlier uid begins so: one range of the index by host."""
    company = db.session.get_one(Company, require_company_id())
    return (
        select(BookingAlias.appointment_id)
        .where(
            BookingAlias.company_id == company.id,
            BookingAlias.calcom_host == company.calcom_host,
            starts_with(BookingAlias.uid, text),
        )
        .limit(MOST_OF_A_KIND)
    )


def _of_appointment(appointment: Appointment) -> Result:
    status = STATUSES[appointment.status].label
    return Result(
        f"#{appointment.id} {appointment.customer.name}",
        f"{exact(appointment.starts_at)} · {appointment.service.name} · {status}",
        "calendar-event",
        url_for("appointments.show", appointment_id=appointment.id),
    )


def _find_services(text: str) -> list[Result]:
    """A company has few: all are read, and any part of the name will do."""
    wanted = fold(text)
    found = [service for service in company_services() if wanted in fold(service.name)]
    return [_of_service(service) for service in found[:MOST_OF_A_KIND]]


def _of_service(service: Service) -> Result:
    length = _("%(minutes)s min", minutes=service.duration_minutes)
    address = url_for("services.show", service_id=service.id)
    return Result(service.name, length, "briefcase", address)
