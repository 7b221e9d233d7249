"""Moving and cancelling an appointment: each asks first, because Cal.com mails the customer."""

from typing import Any

from flask import Blueprint, abort, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue

from webapp import clock
from webapp.extensions import db
from webapp.jobs.queues import enqueue_push
from webapp.models.appointment import Appointment, Origin
from webapp.models.intent import IntentKind
from webapp.sync.booking import (
    BookingRefused,
    Change,
    cancel_appointment,
    reschedule_appointment,
)
from webapp.sync.mailing import foresee_mail
from webapp.views import htmx
from webapp.views.access import acting, company_zone, require_person
from webapp.views.appointments import find_appointment, render_confirmation
from webapp.views.forms.appointments import CancellationForm, ReschedulingForm, TimeForm
from webapp.views.forms.fields import refuse
from webapp.views.free_times import FreeTimes, as_context, find_free_times
from webapp.views.local_time import comes_twice, parse_day, parse_time
from webapp.views.wording import REFUSALS
from webapp.views.words import gettext as _

blueprint = Blueprint("changes", __name__, url_prefix="/appointments")

KINDS = {"reschedulings": IntentKind.RESCHEDULE, "cancellations": IntentKind.CANCEL}


@blueprint.get("/<int:appointment_id>/reschedulings")
@acting
def confirm_rescheduling(appointment_id: int) -> ResponseReturnValue:
    appointment = find_appointment(appointment_id)
    starts_at = appointment.starts_at.astimezone(company_zone())
    form = ReschedulingForm(data={"day": f"{starts_at:%Y-%m-%d}", "time": f"{starts_at:%H:%M}"})
    return _ask_when(appointment, form)


@blueprint.post("/<int:appointment_id>/reschedulings")
@acting
def reschedule(appointment_id: int) -> ResponseReturnValue:
    appointment = find_appointment(appointment_id)
    form = ReschedulingForm(request.form)
    change = _reschedule(form, appointment) if form.validate() else None
    if change is None:
        db.session.rollback()
        return _ask_when(find_appointment(appointment_id), form), 422
    db.session.commit()
    enqueue_push(require_person().company_id, change.intent_id)
    flash(_("Moved. The change is on its way to Cal.com."), "success")
    mention_second_hour(form)
    return htmx.see_other(_address_of(appointment_id))


@blueprint.post("/<int:appointment_id>/reschedulings/free-times")
@acting
def free_times(appointment_id: int) -> ResponseReturnValue:
    """What is free on the chosen day, the appointment's own time among it."""
    appointment = find_appointment(appointment_id)
    form = ReschedulingForm(request.form)
    day = parse_day(form.day.data or "")
    free = find_free_times(appointment.service, day, moving=appointment) if day else None
    if htmx.is_htmx():
        context = as_context(form, free, asks_for=True)
        return render_template("booking/_free_times.html", **context)
    return _ask_when(find_appointment(appointment_id), form, free, asks_for=True)


@blueprint.get("/<int:appointment_id>/cancellations")
@acting
def confirm_cancellation(appointment_id: int) -> ResponseReturnValue:
    return _ask("cancellations", find_appointment(appointment_id), CancellationForm())


@blueprint.post("/<int:appointment_id>/cancellations")
@acting
def cancel(appointment_id: int) -> ResponseReturnValue:
    appointment = find_appointment(appointment_id)
    form = CancellationForm(request.form)
    change = _cancel(form, appointment) if form.validate() else None
    if change is None:
        db.session.rollback()
        return _ask("cancellations", find_appointment(appointment_id), form), 422
    db.session.commit()
    enqueue_push(require_person().company_id, change.intent_id)
    flash(_("Cancelled. The change is on its way to Cal.com."), "success")
    return htmx.see_other(_address_of(appointment_id))


def mention_second_hour(form: TimeForm) -> None:
    """Say which hour was meant where the clocks are put back."""
    day, at = parse_day(form.day.data or ""), parse_time(form.time.data or "")
    if day and at and comes_twice(day, at, company_zone()):
        flash(_("This time comes twice on that day; the first one was taken."), "info")


def _reschedule(form: ReschedulingForm, appointment: Appointment) -> Change | None:
    try:
        return reschedule_appointment(
            db.session(),
            appointment,
            form.starts_at or abort(422),
            origin=Origin.ADMIN,
            now=clock.now(),
            user_id=require_person().id,
            reason=form.reason.data or None,
        )
    except BookingRefused as refusal:
        refuse(form.time, REFUSALS[refusal.reason])
        return None


def _cancel(form: CancellationForm, appointment: Appointment) -> Change | None:
    try:
        return cancel_appointment(
            db.session(),
            appointment,
            reason=form.reason.data or "",
            origin=Origin.ADMIN,
            now=clock.now(),
            user_id=require_person().id,
        )
    except BookingRefused as refusal:
        refuse(form.reason, REFUSALS[refusal.reason])
        return None


def _ask_when(
    appointment: Appointment,
    form: ReschedulingForm,
    free: FreeTimes | None = None,
    *,
    asks_for: bool = False,
) -> str:
    return _ask("reschedulings", appointment, form, **as_context(form, free, asks_for=asks_for))


def _ask(
    name: str, appointment: Appointment, form: TimeForm | CancellationForm, **context: Any
) -> str:
    return render_confirmation(
        name,
        appointment,
        form=form,
        **context,
        back=_address_of(appointment.id),
        mail=foresee_mail(db.session(), appointment, KINDS[name]),
    )


def _address_of(appointment_id: int) -> str:
    return url_for("appointments.show", appointment_id=appointment_id)
