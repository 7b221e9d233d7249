"""Accepting an invitation: the link's secret stands in for a login, once."""

from typing import NoReturn

from flask import Blueprint, abort, flash, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_limiter.util import get_remote_address

from webapp import clock
from webapp.application import settings
from webapp.extensions import db, limiter
from webapp.models.access_link import AccessLink, LinkKind, hash_link
from webapp.models.company import Company
from webapp.models.crossing import company_of_access_link
from webapp.models.tenancy import require_company_id
from webapp.sync.people import AddressTaken, accept_invitation, find_link
from webapp.views import htmx
from webapp.views.access import begin_login, enter
from webapp.views.forms.access import JoiningForm
from webapp.views.forms.fields import refuse
from webapp.views.words import gettext as _

blueprint = Blueprint("invitations", __name__, url_prefix="/invitations")


def rate() -> str:
    return f"{settings().login_attempts_per_minute}/minute"


@blueprint.get("/<link_text>")
@limiter.limit(rate, key_func=get_remote_address)
def show(link_text: str) -> ResponseReturnValue:
    link = open_link(link_text, LinkKind.INVITATION)
    company = db.session.get_one(Company, require_company_id())
    return _render(JoiningForm(data={"language": company.locale}), link)


@blueprint.post("/<link_text>")
@limiter.limit(rate, key_func=get_remote_address)
def accept(link_text: str) -> ResponseReturnValue:
    link, form = open_link(link_text, LinkKind.INVITATION), JoiningForm(request.form)
    if not form.validate():
        return _render(form, link), 422
    try:
        user = accept_invitation(
            db.session(),
            link,
            name=form.name.data or "",
            password=form.new.data or "",
            locale=str(form.language.data),
            now=clock.now(),
        )
    except AddressTaken:
        db.session.rollback()
        refuse(form.name, _("Somebody logs in with this e-mail already."))
        return _render(form, open_link(link_text, LinkKind.INVITATION)), 422
    if user is None:
        refuse_link()
    begin_login(user)
    db.session.commit()
    flash(_("Welcome."), "success")
    return htmx.see_other(url_for("overview.show"))


def open_link(link_text: str, kind: LinkKind) -> AccessLink:
    """The link behind an address, while it lets somebody in: acts for its company; else 404."""
    wanted = hash_link(link_text)
    company_id = company_of_access_link(db.session(), wanted)
    db.session.rollback()
    if company_id is None:
        refuse_link()
    enter(company_id)
    link = find_link(db.session(), wanted, now=clock.now())
    if link is None or link.kind is not kind:
        refuse_link()
    return link


def refuse_link() -> NoReturn:
    """Never made, used, withdrawn or expired: which of them is nobody's business."""
    abort(make_response(render_template("people/over.html"), 404))


def _render(form: JoiningForm, link: AccessLink) -> str:
    company = db.session.get_one(Company, require_company_id())
    return render_template(
        "people/invitation.html", form=form, link=link, company_name=company.name
    )
