"""Login and logout. A wrong password and an unknown e-mail answer alike, in words and in time."""

from urllib.parse import urlsplit

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_limiter.util import get_remote_address

from webapp import clock
from webapp.application import settings
from webapp.extensions import db, limiter
from webapp.models import crossing
from webapp.models.audit import Actor, record_audit
from webapp.models.base import fold
from webapp.models.user import User, check_nobodys_password
from webapp.views import even_time, htmx
from webapp.views.access import begin_login, current_person, end_login, enter
from webapp.views.forms.access import LONGEST_PASSWORD, LoginForm
from webapp.views.forms.fields import LONGEST_EMAIL, refuse
from webapp.views.words import gettext as _

blueprint = Blueprint("login", __name__)

EMAIL_ADDRESSES = 20
"""How many addresses may use up their tries at one e-mail before it is closed to all: enough that
one stranger can't keep its owner out, too few to guess from everywhere (decision 0023)."""


def _rate() -> str:
    return f"{settings().login_attempts_per_minute}/minute"


def _email_rate() -> str:
    return f"{settings().login_attempts_per_minute * EMAIL_ADDRESSES}/minute"


def _email() -> str:
    return f"email:{fold(request.form.get('email', '')[:LONGEST_EMAIL])}"


@blueprint.get("/login")
def show() -> ResponseReturnValue:
    if current_person() is not None:
        return redirect(_way_on(), 303)
    return _render(LoginForm())


@blueprint.post("/login")
@limiter.limit(_rate, key_func=get_remote_address)
@limiter.limit(_email_rate, key_func=_email)
def admit() -> ResponseReturnValue:
    form = LoginForm(request.form)
    if not form.validate():
        return _render(form), 422
    began_at = even_time.begin()
    user = _authenticate(form.email.data or "", form.password.data or "")
    if user is None:
        even_time.wait_for_the_slowest(began_at)
        refuse(form.password, _("E-mail or password is wrong."))
        return _render(form), 422
    begin_login(user)
    db.session.commit()
    return htmx.see_other(_way_on())


@blueprint.post("/logout")
def leave() -> ResponseReturnValue:
    end_login()
    flash(_("You are logged out."), "success")
    return htmx.see_other(url_for("login.show"))


def _authenticate(email: str, password: str) -> User | None:
    """The person behind e-mail and password; both outcomes are audited where there is a company."""
    found = crossing.find_login(db.session(), email[:LONGEST_EMAIL])
    db.session.rollback()
    if found is None or len(password) > LONGEST_PASSWORD:
        check_nobodys_password(password[:LONGEST_PASSWORD])
        return None
    enter(found.company_id)
    user = db.session.get_one(User, (found.company_id, found.user_id))
    is_welcome = user.has_password(password) and user.is_enabled
    _audit(user, "logged_in" if is_welcome else "login_failed")
    if not is_welcome:
        db.session.commit()
        return None
    user.last_login_at = clock.now()
    return user


def _audit(user: User, action: str) -> None:
    record_audit(
        db.session(),
        action,
        f"user:{user.id}",
        at=clock.now(),
        actor=Actor.USER,
        user_id=user.id,
        address=request.remote_addr,
    )


def _way_on() -> str:
    """Where they wanted to go, if that is a page of ours."""
    wanted = request.args.get("next", "")
    parts = urlsplit(wanted)
    is_ours = wanted.startswith("/") and not wanted.startswith(("//", "/\\"))
    if not is_ours or parts.scheme or parts.netloc or not wanted.isprintable() or "\\" in wanted:
        return url_for("overview.show")
    return wanted


def _render(form: LoginForm) -> str:
    return render_template("login/show.html", form=form, next=request.args.get("next"))
