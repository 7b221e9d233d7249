"""A forgotten password: a link by mail, and the page where the new one is chosen.

Whether an e-mail belongs to anybody is nowhere said: the answer is the same and takes the same
time, and the mail is a worker's business.
"""

from flask import Blueprint, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_limiter.util import get_remote_address

from webapp import clock
from webapp.application import settings
from webapp.extensions import db, limiter
from webapp.jobs.queues import hand_over
from webapp.models.access_link import LinkKind
from webapp.models.base import fold
from webapp.models.crossing import find_login
from webapp.models.user import User
from webapp.sync.people import request_new_password, set_password_by_link
from webapp.views import even_time, htmx
from webapp.views.access import begin_login, enter
from webapp.views.forms.access import ForgottenForm, NewPasswordForm
from webapp.views.forms.fields import LONGEST_EMAIL
from webapp.views.invitations import open_link, rate, refuse_link
from webapp.views.words import gettext as _

blueprint = Blueprint("passwords", __name__, url_prefix="/passwords")


def _email_and_address() -> str:
    """Not the e-mail alone: strangers would use up somebody's tries (decision 0023)."""
    email = fold(request.form.get("email", "")[:LONGEST_EMAIL])
    return f"forgotten:{email}:{get_remote_address()}"


@blueprint.get("")
def ask() -> ResponseReturnValue:
    return _render(ForgottenForm())


@blueprint.post("")
@limiter.limit(rate, key_func=get_remote_address)
@limiter.limit("3/hour", key_func=_email_and_address)
def mail() -> ResponseReturnValue:
    form = ForgottenForm(request.form)
    if not form.validate() or settings().smtp_url is None:
        return _render(form), 422
    began_at = even_time.begin()
    _mail_to(form.email.data or "")
    even_time.wait_for_the_slowest(began_at)
    flash(_("If somebody logs in with this e-mail, a link is on its way there."), "success")
    return htmx.see_other(url_for("login.show"))


@blueprint.get("/<link_text>")
@limiter.limit(rate, key_func=get_remote_address)
def show(link_text: str) -> ResponseReturnValue:
    link = open_link(link_text, LinkKind.PASSWORD)
    return render_template("people/new_password.html", form=NewPasswordForm(), link=link)


@blueprint.post("/<link_text>")
@limiter.limit(rate, key_func=get_remote_address)
def choose(link_text: str) -> ResponseReturnValue:
    """All sessions of this person end; this one begins."""
    link, form = open_link(link_text, LinkKind.PASSWORD), NewPasswordForm(request.form)
    if not form.validate():
        return render_template("people/new_password.html", form=form, link=link), 422
    user = set_password_by_link(db.session(), link, password=form.new.data or "", now=clock.now())
    if user is None:
        refuse_link()
    begin_login(user)
    db.session.commit()
    flash(_("Password changed. Your other sessions have ended."), "success")
    return htmx.see_other(url_for("overview.show"))


def _mail_to(email: str) -> None:
    found = find_login(db.session(), email)
    db.session.rollback()
    if found is None:
        return
    enter(found.company_id)
    user = db.session.get_one(User, (found.company_id, found.user_id))
    if not user.is_enabled:
        return
    issued = request_new_password(db.session(), user, now=clock.now())
    db.session.commit()
    if issued is not None:
        hand_over("access_mail", found.company_id, issued.id)


def _render(form: ForgottenForm) -> str:
    return render_template(
        "people/forgotten.html", form=form, has_mail=settings().smtp_url is not None
    )
