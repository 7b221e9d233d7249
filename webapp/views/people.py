"""The company's people: who they are, what they may do, letting in and barring."""

from typing import Any

from flask import Blueprint, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue

from webapp import clock
from webapp.application import settings
from webapp.extensions import db
from webapp.jobs.queues import hand_over
from webapp.models.access_link import AccessLink, LinkKind
from webapp.models.user import Role, User
from webapp.sync.customers import InvalidEmail
from webapp.sync.people import (
    AddressTaken,
    IssuedLink,
    LastAdmin,
    bar,
    change_role,
    company_people,
    invite,
    let_in_again,
    offer_new_password,
    open_invitations,
    renew_link,
    withdraw_link,
)
from webapp.views import htmx, reauthentication
from webapp.views.access import admins_only, find_or_404, require_person
from webapp.views.forms.access import ConfirmedForm, InvitationForm, RoleForm
from webapp.views.forms.fields import refuse
from webapp.views.pages import render_page
from webapp.views.words import gettext as _

blueprint = Blueprint("people", __name__, url_prefix="/settings/users")


@blueprint.get("")
@admins_only
def index() -> ResponseReturnValue:
    return _render(InvitationForm())


@blueprint.post("/invitations", endpoint="invite")
@reauthentication.throttled
@admins_only
def send_invitation() -> ResponseReturnValue:
    """Answered with a page where no mail is sent: the link must not travel in a cookie or address,
    and is nowhere to be read a second time."""
    form = InvitationForm(request.form)
    if not form.validate() or not reauthentication.is_confirmed(form):
        return _render(form), 422
    try:
        issued = invite(
            db.session(),
            email=form.email.data or "",
            role=Role(str(form.role.data)),
            by_mail=has_mail(),
            user_id=require_person().id,
            now=clock.now(),
        )
    except InvalidEmail:
        refuse(form.email, _("This is not an e-mail address."))
        return _render(form), 422
    except AddressTaken:
        refuse(form.email, _("Somebody logs in with this e-mail already."))
        return _render(form), 422
    return _answer(issued)


@blueprint.get("/invitations/<int:access_link_id>/renewals")
@admins_only
def confirm_renewal(access_link_id: int) -> ResponseReturnValue:
    return _render_renewal(_invitation_or_404(access_link_id), ConfirmedForm())


@blueprint.post("/invitations/<int:access_link_id>/renewals")
@reauthentication.throttled
@admins_only
def renew(access_link_id: int) -> ResponseReturnValue:
    """The same invitation with another secret; the link that is out there ends."""
    link, form = _invitation_or_404(access_link_id), ConfirmedForm(request.form)
    if not form.validate() or not reauthentication.is_confirmed(form):
        return _render_renewal(link, form), 422
    try:
        issued = renew_link(
            db.session(), link, by_mail=has_mail(), user_id=require_person().id, now=clock.now()
        )
    except AddressTaken:
        flash(_("Somebody logs in with this e-mail already."), "error")
        return htmx.see_other(url_for(".index"))
    if issued is None:
        flash(_("The invitation was over already."), "info")
        return htmx.see_other(url_for(".index"))
    return _answer(issued)


@blueprint.post("/invitations/<int:access_link_id>/withdrawals")
@admins_only
def withdraw(access_link_id: int) -> ResponseReturnValue:
    link = _invitation_or_404(access_link_id)
    is_ended = withdraw_link(db.session(), link.id, user_id=require_person().id, now=clock.now())
    db.session.commit()
    if is_ended:
        flash(_("Withdrawn. The link opens nothing any more."), "success")
    else:
        flash(_("The invitation was over already."), "info")
    return htmx.see_other(url_for(".index"))


@blueprint.get("/<int:user_id>")
@admins_only
def show(user_id: int) -> ResponseReturnValue:
    return _render_one(find_or_404(User, user_id))


@blueprint.post("/<int:user_id>/roles", endpoint="change_role")
@reauthentication.throttled
@admins_only
def give_role(user_id: int) -> ResponseReturnValue:
    user, form = find_or_404(User, user_id), RoleForm(request.form)
    if not form.validate() or _is_oneself(user, form) or not reauthentication.is_confirmed(form):
        return _render_one(user, role_form=form), 422
    try:
        is_changed = change_role(
            db.session(),
            user,
            Role(str(form.role.data)),
            user_id=require_person().id,
            now=clock.now(),
        )
    except LastAdmin:
        db.session.rollback()
        refuse(form.role, _("A company needs an admin. Make somebody else one first."))
        return _render_one(find_or_404(User, user_id), role_form=form), 422
    db.session.commit()
    flash(_("Role changed.") if is_changed else _("Nothing was changed."), "success")
    return htmx.see_other(url_for(".show", user_id=user_id))


@blueprint.post("/<int:user_id>/passwords")
@reauthentication.throttled
@admins_only
def offer_password(user_id: int) -> ResponseReturnValue:
    """A link with which the person sets a new password."""
    user, form = find_or_404(User, user_id), ConfirmedForm(request.form)
    if not form.validate() or not reauthentication.is_confirmed(form):
        return _render_one(user, password_form=form), 422
    issued = offer_new_password(
        db.session(), user, by_mail=has_mail(), user_id=require_person().id, now=clock.now()
    )
    db.session.commit()
    if issued.text is None:
        hand_over("access_mail", require_person().company_id, issued.id)
        flash(_("The link is on its way by e-mail."), "success")
        return htmx.see_other(url_for(".show", user_id=user_id))
    address = settings().public_url + url_for("passwords.show", link_text=issued.text)
    return _render_one(find_or_404(User, user_id), link=address), 201


@blueprint.get("/<int:user_id>/deactivations")
@admins_only
def confirm_bar(user_id: int) -> ResponseReturnValue:
    user = find_or_404(User, user_id)
    if htmx.is_htmx():
        return render_template("people/_deactivation.html", user=user)
    return render_page("people/deactivation.html", user=user)


@blueprint.post("/<int:user_id>/deactivations", endpoint="bar")
@admins_only
def bar_one(user_id: int) -> ResponseReturnValue:
    user = find_or_404(User, user_id)
    back = htmx.see_other(url_for(".show", user_id=user_id))
    if user.id == require_person().id:
        flash(_("Nobody can deactivate themselves."), "error")
        return back
    try:
        bar(db.session(), user, user_id=require_person().id, now=clock.now())
    except LastAdmin:
        db.session.rollback()
        flash(_("A company needs an admin. Make somebody else one first."), "error")
        return back
    db.session.commit()
    flash(_("Deactivated. Their sessions have ended."), "success")
    return back


@blueprint.post("/<int:user_id>/reactivations")
@admins_only
def let_in(user_id: int) -> ResponseReturnValue:
    user = find_or_404(User, user_id)
    let_in_again(db.session(), user, user_id=require_person().id, now=clock.now())
    db.session.commit()
    flash(_("Reactivated. They log in with the password they had."), "success")
    return htmx.see_other(url_for(".show", user_id=user_id))


def has_mail() -> bool:
    """Whether the operator has set a mail server."""
    return settings().smtp_url is not None


def _answer(issued: IssuedLink) -> ResponseReturnValue:
    db.session.commit()
    if issued.text is None:
        hand_over("access_mail", require_person().company_id, issued.id)
        flash(_("The invitation is on its way by e-mail."), "success")
        return htmx.see_other(url_for(".index"))
    address = settings().public_url + url_for("invitations.show", link_text=issued.text)
    return _render(InvitationForm(), link=address), 201


def _is_oneself(user: User, form: RoleForm) -> bool:
    if user.id != require_person().id:
        return False
    refuse(form.role, _("Nobody can change their own role. Ask another admin."))
    return True


def _invitation_or_404(access_link_id: int) -> AccessLink:
    link = find_or_404(AccessLink, access_link_id)
    return link if link.kind is LinkKind.INVITATION else find_or_404(AccessLink, None)


def _render_renewal(link: AccessLink, form: ConfirmedForm) -> str:
    return render_page("people/renewal.html", invitation=link, form=form, has_mail=has_mail())


def _render(form: InvitationForm, **more: Any) -> str:
    session = db.session()
    return render_page(
        "people/index.html",
        form=form,
        people=company_people(session),
        invitations=open_invitations(session),
        has_mail=has_mail(),
        **{"link": None, **more},
    )


def _render_one(
    user: User,
    *,
    role_form: RoleForm | None = None,
    password_form: ConfirmedForm | None = None,
    link: str | None = None,
) -> str:
    role_form = role_form or RoleForm(data={"role": user.role.value})
    role_form.current.id = "current-for-role"
    return render_page(
        "people/show.html",
        user=user,
        role_form=role_form,
        password_form=password_form or ConfirmedForm(),
        has_mail=has_mail(),
        link=link,
    )
