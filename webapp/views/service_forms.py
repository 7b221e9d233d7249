"""Making and editing services; whose event type it is, is asked of Cal.com before it is saved."""

from decimal import Decimal

from flask import Blueprint, flash, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale, ngettext
from werkzeug.datastructures import MultiDict

from webapp import clock
from webapp.calcom.errors import CalcomError
from webapp.calcom.payloads import EventType
from webapp.extensions import db
from webapp.jobs.event_types import ask_event_type, ask_event_types, note_refusal
from webapp.models.service import Service
from webapp.sync.offerings import (
    EventTypeTaken,
    Offer,
    add_from_event_types,
    add_service,
    change_service,
    services_by_event_type,
)
from webapp.views import htmx
from webapp.views.access import acting, find_or_404, require_person
from webapp.views.explanations import explain
from webapp.views.forms.catalog import ServiceForm, parse_price
from webapp.views.forms.fields import refuse
from webapp.views.pages import render_page
from webapp.views.words import gettext as _

blueprint = Blueprint("service_forms", __name__, url_prefix="/services")


@blueprint.get("/new")
@acting
def new() -> ResponseReturnValue:
    return _render(ServiceForm())


@blueprint.post("")
@acting
def create() -> ResponseReturnValue:
    form = ServiceForm(request.form)
    if not form.validate():
        return _render(form), 422
    event_type = _ask(form) if form.wanted_event_type is not None else None
    if form.event_type_id.errors:
        return _render(form), 422
    try:
        service = add_service(
            db.session(),
            _offer(form),
            seen=event_type,
            user_id=require_person().id,
            now=clock.now(),
        )
    except EventTypeTaken as taken:
        db.session.rollback()
        refuse(form.event_type_id, _whose(taken))
        return _render(form), 422
    service_id = service.id
    db.session.commit()
    flash(_("The service was made."), "success")
    return htmx.see_other(url_for("services.show", service_id=service_id))


@blueprint.get("/<int:service_id>/edit")
@acting
def edit(service_id: int) -> ResponseReturnValue:
    service = find_or_404(Service, service_id)
    return _render(_form_of(service), service)


@blueprint.post("/<int:service_id>")
@acting
def update(service_id: int) -> ResponseReturnValue:
    service = find_or_404(Service, service_id)
    form = ServiceForm(request.form)
    if not form.validate():
        return _render(form, service), 422
    is_rebound = form.wanted_event_type not in (None, service.calcom_event_type_id)
    event_type = _ask(form) if is_rebound else None
    if form.event_type_id.errors:
        return _render(form, service), 422
    try:
        change_service(
            db.session(),
            find_or_404(Service, service_id),
            _offer(form),
            seen=event_type,
            user_id=require_person().id,
            now=clock.now(),
        )
    except EventTypeTaken as taken:
        db.session.rollback()
        refuse(form.event_type_id, _whose(taken))
        return _render(form, find_or_404(Service, service_id)), 422
    db.session.commit()
    flash(_("Saved. Cal.com says what it said until you synchronise."), "success")
    return htmx.see_other(url_for("services.show", service_id=service_id))


@blueprint.get("/event-types")
@acting
def event_types() -> ResponseReturnValue:
    """What there is on Cal.com already; used ones are marked."""
    try:
        found = ask_event_types()
    except CalcomError as error:
        return _render_event_types((), error.code)
    return _render_event_types(found)


@blueprint.post("/event-types")
@acting
def create_from_event_types() -> ResponseReturnValue:
    """Make services of the ticked ones, read anew: a form's word for them counts for nothing."""
    ticked = set(request.form.getlist("event_type"))
    try:
        found = ask_event_types()
    except CalcomError as error:
        note_refusal(error)
        return _render_event_types((), error.code), 422
    chosen = [each for each in found if str(each.id) in ticked]
    try:
        made = add_from_event_types(
            db.session(), chosen, user_id=require_person().id, now=clock.now()
        )
    except EventTypeTaken as taken:
        db.session.rollback()
        flash(_whose(taken), "error")
        return _render_event_types(found), 422
    db.session.commit()
    _say_made(made)
    is_guide = request.form.get("back") == "guide"
    return htmx.see_other(url_for("first_steps.show" if is_guide else "services.index"))


def _say_made(made: int) -> None:
    if made:
        text = ngettext("%(num)s service was made.", "%(num)s services were made.", made)
        flash(text, "success")
    else:
        flash(_("Nothing was made: tick an event type that is not used yet."), "info")


def _ask(form: ServiceForm) -> EventType | None:
    """The event type that was typed, if it is this account's; else the form says why not."""
    try:
        return ask_event_type(form.wanted_event_type or 0)
    except CalcomError as error:
        note_refusal(error)
        if error.code == "HTTP_404":
            refuse(form.event_type_id, _("Your Cal.com account has no event type with this ID."))
        else:
            refuse(form.event_type_id, explain(error.code).meaning)
        return None


def _whose(taken: EventTypeTaken) -> str:
    if taken.is_ours:
        return _("Another service of yours is booked as this event type.")
    return _("Another company offers this event type.")


def _offer(form: ServiceForm) -> Offer:
    return Offer(
        name=form.name.data or "",
        duration_minutes=int(form.duration.data or 0),
        buffer_before_minutes=int(form.buffer_before.data or 0),
        buffer_after_minutes=int(form.buffer_after.data or 0),
        price_cents=parse_price(form.price.data) or 0,
        currency=(form.currency.data or "").upper(),
        is_offered=bool(form.is_offered.data),
        event_type_id=form.wanted_event_type,
    )


def _form_of(service: Service) -> ServiceForm:
    values = {
        "name": service.name,
        "duration": str(service.duration_minutes),
        "buffer_before": str(service.buffer_before_minutes),
        "buffer_after": str(service.buffer_after_minutes),
        "price": _typed_price(service.price_cents),
        "currency": service.currency,
        "event_type_id": str(service.calcom_event_type_id or ""),
    }
    if service.is_offered:
        values["is_offered"] = "y"
    return ServiceForm(MultiDict(values))


def _typed_price(cents: int) -> str:
    """`49,90` or `49.90`, as the reader writes it."""
    text = f"{Decimal(cents) / 100:.2f}"
    return text.replace(".", ",") if str(get_locale()).startswith("de") else text


def _render(form: ServiceForm, service: Service | None = None) -> str:
    return render_page("services/form.html", form=form, service=service)


def _render_event_types(found: tuple[EventType, ...], error_code: str | None = None) -> str:
    return render_page(
        "services/event_types.html",
        event_types=found,
        used=services_by_event_type(db.session()),
        error_code=error_code,
    )
