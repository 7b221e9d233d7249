"""Editing an appointment, and marking what came of it. Where Cal.com mails the customer because of
an edit, the page says what it will do and asks once more."""

from dataclasses import dataclass
from datetime import datetime

from flask import Blueprint, abort, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import LazyString

from webapp import clock
from webapp.extensions import db
from webapp.jobs.queues import enqueue_push
from webapp.models.appointment import Appointment, AppointmentStatus
from webapp.models.intent import IntentKind
from webapp.models.service import Service
from webapp.sync.booking import BookingRefused
from webapp.sync.editing import Edited, Wanted, edit_appointment, version_of
from webapp.sync.mailing import Mail, foresee_mail
from webapp.sync.marking import MARKS, mark_appointment
from webapp.views import htmx
from webapp.views.access import acting, company_zone, find_or_404, id_or_404, require_person
from webapp.views.appointments import find_appointment
from webapp.views.booking import service_choices
from webapp.views.changes import mention_second_hour
from webapp.views.forms.appointments import EditForm
from webapp.views.forms.fields import refuse
from webapp.views.free_times import FreeTimes, as_context, find_free_times
from webapp.views.local_time import parse_day
from webapp.views.pages import render_page
from webapp.views.wording import REFUSALS, STATUSES
from webapp.views.words import gettext as _

blueprint = Blueprint("edits", __name__, url_prefix="/appointments")

RESCHEDULES, BOOKS_ANEW = "reschedules", "books_anew"


@dataclass(frozen=True)
class Consequence:
    """What an edit makes Cal.com do, and whom it mails about it."""

    kind: str
    mail: Mail
    starts_at: datetime


@blueprint.get("/<int:appointment_id>/edits")
@acting
def edit(appointment_id: int) -> ResponseReturnValue:
    appointment = find_appointment(appointment_id)
    return _render(appointment, _form_of(appointment))


@blueprint.post("/<int:appointment_id>/edits")
@acting
def save(appointment_id: int) -> ResponseReturnValue:
    appointment = find_appointment(appointment_id)
    form = _posted(appointment)
    if not form.validate():
        return _render(appointment, form), 422
    if form.seen.data != version_of(appointment):
        return _render_anew(form, appointment), 409
    wanted = _wanted(form, appointment)
    consequence = _foresee(appointment, wanted)
    if consequence is not None and form.confirmed.data != consequence.kind:
        return _render(appointment, form, consequence)
    try:
        edited = _save(appointment, wanted)
    except BookingRefused as refusal:
        db.session.rollback()
        return _refuse(refusal.reason, form, find_appointment(appointment_id))
    db.session.commit()
    for intent_id in edited.intent_ids:
        enqueue_push(require_person().company_id, intent_id)
    _say(form, edited, appointment_id)
    return htmx.see_other(_address_of(edited.appointment_id))


@blueprint.post("/<int:appointment_id>/edits/free-times")
@acting
def free_times(appointment_id: int) -> ResponseReturnValue:
    """What is free on the chosen day; its own time too, as long as the service stays."""
    appointment = find_appointment(appointment_id)
    form = _posted(appointment)
    free = _find_free(form, appointment)
    if htmx.is_htmx():
        context = as_context(form, free, asks_for=True)
        return render_template("booking/_free_times.html", **context)
    return _render(find_appointment(appointment_id), form, free=free, asks_for=True)


@blueprint.post("/<int:appointment_id>/markings")
@acting
def mark(appointment_id: int) -> ResponseReturnValue:
    """Completed or no-show: ours alone, nobody is mailed."""
    appointment = find_appointment(appointment_id)
    wanted = request.form.get("mark", "")
    if wanted not in MARKS:
        abort(400)
    status = AppointmentStatus(wanted)
    try:
        mark_appointment(
            db.session(), appointment, status, now=clock.now(), user_id=require_person().id
        )
    except BookingRefused as refusal:
        db.session.rollback()
        flash(str(REFUSALS[refusal.reason]), "warning")
        return htmx.see_other(_address_of(appointment_id))
    db.session.commit()
    flash(_("Marked: %(status)s. Nobody is mailed.", status=STATUSES[status].label), "success")
    return htmx.see_other(_address_of(appointment_id))


def may_move(appointment: Appointment, now: datetime) -> bool:
    """Whether time and service may still change; notes and guests always may."""
    return appointment.is_live and appointment.starts_at > now


def _find_free(form: EditForm, appointment: Appointment) -> FreeTimes | None:
    day = parse_day(form.day.data or "")
    if day is None or not form.service.data:
        return None
    service = find_or_404(Service, id_or_404(form.service.data))
    stays = service.id == appointment.service_id
    return find_free_times(service, day, moving=appointment if stays else None)


def _save(appointment: Appointment, wanted: Wanted) -> Edited:
    return edit_appointment(
        db.session(),
        appointment,
        wanted,
        cancellation_reason=_("Booked anew as %(service)s.", service=wanted.service.name),
        now=clock.now(),
        user_id=require_person().id,
    )


def _refuse(reason: str, form: EditForm, appointment: Appointment) -> ResponseReturnValue:
    if reason == "changed_meanwhile":
        return _render_anew(form, appointment), 409
    refuse(form.service if reason == "service_not_offered" else form.time, REFUSALS[reason])
    return _render(appointment, form), 422


def _render_anew(form: EditForm, appointment: Appointment) -> str:
    """What was written stays in the form, beside what somebody else has written meanwhile; saving
    again is then a decision."""
    form.seen.data = version_of(appointment)
    return _render(appointment, form, meanwhile=REFUSALS["changed_meanwhile"])


def _say(form: EditForm, edited: Edited, appointment_id: int) -> None:
    if edited.appointment_id != appointment_id:
        flash(_("Cancelled and booked anew. Both are on their way to Cal.com."), "success")
    elif edited.intent_ids:
        flash(_("Saved. The new time is on its way to Cal.com."), "success")
    else:
        flash(_("Saved.") if edited.has_changed else _("Nothing was changed."), "success")
        return
    mention_second_hour(form)


def _foresee(appointment: Appointment, wanted: Wanted) -> Consequence | None:
    """None where only what is ours changes."""
    if wanted.service.id != appointment.service_id:
        mail = foresee_mail(db.session(), appointment, IntentKind.CREATE)
        return Consequence(BOOKS_ANEW, mail, wanted.starts_at)
    if wanted.starts_at != appointment.starts_at:
        mail = foresee_mail(db.session(), appointment, IntentKind.RESCHEDULE)
        return Consequence(RESCHEDULES, mail, wanted.starts_at)
    return None


def _wanted(form: EditForm, appointment: Appointment) -> Wanted:
    service = find_or_404(Service, id_or_404(form.service.data))
    starts_at = form.starts_at or abort(422)
    if starts_at == appointment.starts_at.replace(second=0, microsecond=0):
        starts_at = appointment.starts_at
    return Wanted(
        starts_at=starts_at,
        service=service,
        notes=(form.notes.data or "").replace("\r\n", "\n"),
        guests=form.guest_list,
        seen=form.seen.data or "",
    )


def _posted(appointment: Appointment) -> EditForm:
    """What was sent; what may no longer move stays what it is, whatever was sent."""
    form = _with_choices(EditForm(request.form), appointment)
    if form.service.data:
        find_or_404(Service, id_or_404(form.service.data))
    if not may_move(appointment, clock.now()):
        kept = _form_of(appointment)
        for name in ("day", "time", "service"):
            form[name].data = kept[name].data
    return form


def _form_of(appointment: Appointment) -> EditForm:
    starts_at = appointment.starts_at.astimezone(company_zone())
    data = {
        "day": f"{starts_at:%Y-%m-%d}",
        "time": f"{starts_at:%H:%M}",
        "service": str(appointment.service_id),
        "notes": appointment.notes,
        "guests": "\n".join(appointment.guests),
        "seen": version_of(appointment),
    }
    return _with_choices(EditForm(data=data), appointment)


def _with_choices(form: EditForm, appointment: Appointment) -> EditForm:
    form.service.choices = service_choices(keeping=appointment.service_id)
    form.service.validate_choice = False  # a stranger's service is 404, not a hint
    return form


def _render(
    appointment: Appointment,
    form: EditForm,
    consequence: Consequence | None = None,
    *,
    free: FreeTimes | None = None,
    asks_for: bool = False,
    meanwhile: LazyString | None = None,
) -> str:
    return render_page(
        "appointments/edit.html",
        appointment=appointment,
        form=form,
        consequence=consequence,
        meanwhile=meanwhile,
        **as_context(form, free, asks_for=asks_for),
        may_move=may_move(appointment, clock.now()),
    )


def _address_of(appointment_id: int) -> str:
    return url_for("appointments.show", appointment_id=appointment_id)
