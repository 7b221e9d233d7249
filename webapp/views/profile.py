"""One's own language, look and password."""

from flask import Blueprint, abort, flash, make_response, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import force_locale

from webapp import clock
from webapp.application import LANGUAGES, settings
from webapp.extensions import db
from webapp.models.audit import Actor, record_audit
from webapp.models.user import User
from webapp.views import htmx
from webapp.views.access import begin_login
from webapp.views.forms.access import PasswordForm
from webapp.views.headers import ONE_YEAR_SECONDS
from webapp.views.pages import THEME_COOKIE, THEMES, render_page
from webapp.views.reauthentication import is_confirmed, own_user, throttled
from webapp.views.words import gettext as _

blueprint = Blueprint("profile", __name__, url_prefix="/profile")


@blueprint.get("")
def show() -> ResponseReturnValue:
    return _render(PasswordForm())


@blueprint.post("/language")
def choose_language() -> ResponseReturnValue:
    language = request.form.get("language", "")
    if language not in LANGUAGES:
        abort(422)
    own_user().locale = language
    db.session.commit()
    with force_locale(language):
        flash(_("Language changed."), "success")
    return htmx.see_other(url_for(".show"))


@blueprint.post("/theme")
def choose_theme() -> ResponseReturnValue:
    theme = request.form.get("theme", "")
    if theme not in THEMES:
        abort(422)
    response = make_response(htmx.see_other(url_for(".show")))
    response.set_cookie(
        THEME_COOKIE,
        theme,
        max_age=ONE_YEAR_SECONDS,
        secure=settings().session_cookie_secure,
        httponly=True,
        samesite="Lax",
    )
    return response


@blueprint.post("/password")
@throttled
def change_password() -> ResponseReturnValue:
    """Ends all other sessions of this person; this one goes on with a fresh cookie."""
    form = PasswordForm(request.form)
    if not form.validate() or not is_confirmed(form):
        return _render(form), 422
    user = own_user()
    user.set_password(form.new.data or "")
    _audit(user)
    begin_login(user)
    db.session.commit()
    flash(_("Password changed. Your other sessions have ended."), "success")
    return htmx.see_other(url_for(".show"))


def _audit(user: User) -> None:
    record_audit(
        db.session(),
        "password_changed",
        f"user:{user.id}",
        at=clock.now(),
        actor=Actor.USER,
        user_id=user.id,
    )


def _render(form: PasswordForm) -> str:
    return render_page("profile/show.html", form=form, themes=THEMES, languages=LANGUAGES)
