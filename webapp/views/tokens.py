"""API tokens: which there are, making one (its text is shown once), ending one."""

from datetime import timedelta

from flask import Blueprint, abort, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from webapp import clock
from webapp.extensions import db
from webapp.models.api_token import ApiToken, Scope, company_tokens
from webapp.models.audit import Actor
from webapp.models.tenancy import require_company_id
from webapp.models.user import User
from webapp.sync.tokens import IssuedToken, issue_token, revoke_token
from webapp.views import htmx, reauthentication
from webapp.views.access import admins_only, find_or_404, require_person
from webapp.views.forms.settings import TokenForm
from webapp.views.pages import render_page
from webapp.views.wording import SCOPES
from webapp.views.words import gettext as _

blueprint = Blueprint("tokens", __name__, url_prefix="/settings/tokens")


@blueprint.get("")
@admins_only
def index() -> ResponseReturnValue:
    return _render(TokenForm())


@blueprint.post("")
@reauthentication.throttled
@admins_only
def create() -> ResponseReturnValue:
    """Answered with a page, not with a redirect: the token must not travel in a cookie or address,
    and is nowhere to be read a second time."""
    form = TokenForm(request.form)
    if not form.validate() or not reauthentication.is_confirmed(form):
        return _render(form), 422
    issued = _issue(form)
    db.session.commit()
    return _render(TokenForm(), issued), 201


@blueprint.get("/<int:api_token_id>/revocations")
@admins_only
def confirm_revocation(api_token_id: int) -> ResponseReturnValue:
    """A question first: it can't be undone, and whoever uses the token stands outside at once."""
    token = find_or_404(ApiToken, api_token_id)
    if htmx.is_htmx():
        return render_template("settings/_revocation.html", token=token)
    return render_page("settings/revocation.html", token=token)


@blueprint.post("/<int:api_token_id>/revocations")
@admins_only
def revoke(api_token_id: int) -> ResponseReturnValue:
    token = find_or_404(ApiToken, api_token_id)
    is_revoked = revoke_token(
        db.session(), token.id, actor=Actor.USER, user_id=require_person().id, now=clock.now()
    )
    db.session.commit()
    if is_revoked:
        flash(_("Revoked. The token opens nothing any more."), "success")
    else:
        flash(_("The token was revoked already."), "info")
    return htmx.see_other(url_for(".index"))


def _issue(form: TokenForm) -> IssuedToken:
    now = clock.now()
    days = form.days
    return issue_token(
        db.session(),
        name=form.name.data or abort(422),
        scopes={Scope(scope) for scope in form.scopes.data or ()},
        expires_at=None if days is None else now + timedelta(days=days),
        actor=Actor.USER,
        user_id=require_person().id,
        now=now,
    )


def _render(form: TokenForm, issued: IssuedToken | None = None) -> str:
    tokens = company_tokens(db.session())
    return render_page(
        "settings/tokens.html",
        form=form,
        issued=issued,
        tokens=tokens,
        makers=_names({token.created_by_user_id for token in tokens}),
        scope_words=SCOPES,
    )


def _names(user_ids: set[int | None]) -> dict[int, str]:
    query = select(User.id, User.name).where(
        User.company_id == require_company_id(), User.id.in_(user_ids - {None})
    )
    return {row.id: row.name for row in db.session.execute(query)}
