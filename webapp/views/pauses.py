"""Pausing and resuming what is sent to Cal.com: the admin's switch, and every page's banner."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from flask import Blueprint, Flask, flash, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import ngettext

from webapp import clock
from webapp.extensions import db
from webapp.models.audit import Actor
from webapp.sync.pausing import OPERATOR, pause_pushing, resume_pushing, waiting_changes
from webapp.views import htmx
from webapp.views.access import Person, admins_only, current_person, require_person
from webapp.views.pages import render_page
from webapp.views.words import gettext as _

blueprint = Blueprint("pauses", __name__, url_prefix="/pauses")


@dataclass(frozen=True)
class Pause:
    """What the banner says. What waits is counted where it is shown, and only there."""

    since: datetime
    by: str

    @property
    def is_by_operator(self) -> bool:
        return self.by == OPERATOR

    @cached_property
    def waiting(self) -> int:
        return waiting_changes(db.session())


def register(app: Flask) -> None:
    app.context_processor(lambda: {"pause": current_pause()})


def current_pause() -> Pause | None:
    """The pause of the reader's company, as it was when the request came in; asks nothing."""
    person = current_person()
    if person is None or person.paused_at is None:
        return None
    return Pause(person.paused_at, person.paused_by or "")


@blueprint.get("")
@admins_only
def confirm() -> ResponseReturnValue:
    """A question first: bookings won't reach Cal.com meanwhile."""
    if htmx.is_htmx():
        return render_template("settings/_pauses.html")
    return render_page("settings/pauses.html")


@blueprint.post("")
@admins_only
def pause() -> ResponseReturnValue:
    person = require_person()
    is_paused = pause_pushing(
        db.session(), by=_author(person), actor=Actor.USER, user_id=person.id, now=clock.now()
    )
    db.session.commit()
    if is_paused:
        flash(_("Paused. Changes are kept here until an admin resumes sending."), "success")
    else:
        flash(_("Sending was paused already."), "info")
    return htmx.see_other(url_for("settings.show"))


@blueprint.post("/resumptions")
@admins_only
def resume() -> ResponseReturnValue:
    waiting = waiting_changes(db.session())
    is_resumed = resume_pushing(
        db.session(), actor=Actor.USER, user_id=require_person().id, now=clock.now()
    )
    db.session.commit()
    if is_resumed:
        flash(_how_it_goes_on(waiting), "success")
    else:
        flash(_why_not(), "info")
    return htmx.see_other(url_for("overview.show"))


def _author(person: Person) -> str:
    """A name; not the word by which the operator's pause is known."""
    return person.name if person.name != OPERATOR else person.email


def _why_not() -> str:
    pause = current_pause()
    if pause is not None and pause.is_by_operator:
        return _("Your operator paused sending, and only they can lift it.")
    return _("Sending was not paused.")


def _how_it_goes_on(waiting: int) -> str:
    if not waiting:
        return _("Resumed. Nothing had to wait.")
    return str(
        ngettext(
            "Resumed. %(num)s change that waited is being sent now.",
            "Resumed. %(num)s changes that waited are being sent now.",
            waiting,
        )
    )
