"""The connection to Cal.com: address, key, a test that says what is wrong, the webhook there."""

from flask import Blueprint, flash, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import ngettext

from webapp import clock
from webapp.application import settings, vault
from webapp.calcom.addresses import AddressError
from webapp.calcom.errors import CalcomError, Postponed, Unavailable
from webapp.extensions import db
from webapp.jobs.check import check_connection, judge_address
from webapp.jobs.webhook import ping_webhook, register_webhook
from webapp.models.company import Company
from webapp.models.tenancy import require_company_id
from webapp.models.vault import VaultError
from webapp.sync.onboarding import KeyNeeded, change_connection
from webapp.sync.webhook_registration import (
    RotationUnderWay,
    retire_previous_secret,
    rotate_secret,
)
from webapp.views import htmx, reauthentication
from webapp.views.access import admins_only, require_person
from webapp.views.explanations import explain
from webapp.views.forms.access import ConfirmedForm
from webapp.views.forms.fields import refuse
from webapp.views.forms.settings import ConnectionForm
from webapp.views.pages import render_page
from webapp.views.wording import ADDRESS_REFUSALS
from webapp.views.words import gettext as _

blueprint = Blueprint("connection_settings", __name__, url_prefix="/settings")


@blueprint.get("/connection")
@admins_only
def show() -> ResponseReturnValue:
    return _render(ConnectionForm(data={"base_url": _company().calcom_base_url}))


@blueprint.post("/connection")
@reauthentication.throttled
@admins_only
def save() -> ResponseReturnValue:
    """Saved first, then tried: a key that Cal.com refuses is kept, and said to be refused."""
    form = ConnectionForm(request.form)
    if not form.validate() or not reauthentication.is_confirmed(form) or not _write(form):
        return _render(form), 422
    db.session.commit()
    _say_check()
    return htmx.see_other(_way_back())


@blueprint.post("/connection/checks")
@admins_only
def check() -> ResponseReturnValue:
    _say_check()
    return htmx.see_other(_way_back())


@blueprint.post("/webhook/registrations")
@admins_only
def register() -> ResponseReturnValue:
    """Make Cal.com call us, then ping the address: a second press repairs what somebody changed."""
    _say_registration(_("The webhook is registered on Cal.com"))
    return htmx.see_other(_way_back())


@blueprint.get("/webhook/rotations")
@admins_only
def confirm_rotation() -> ResponseReturnValue:
    return render_page("settings/rotation.html", form=ConfirmedForm(), company=_company())


@blueprint.post("/webhook/rotations")
@reauthentication.throttled
@admins_only
def rotate() -> ResponseReturnValue:
    """A new secret here, then there; until the old one is retired both open the door."""
    form = ConfirmedForm(request.form)
    if not form.validate() or not reauthentication.is_confirmed(form):
        return render_page("settings/rotation.html", form=form, company=_company()), 422
    try:
        rotate_secret(db.session(), vault(), user_id=require_person().id, now=clock.now())
    except RotationUnderWay:
        db.session.rollback()
        flash(_("Two secrets are valid already: retire the old one first."), "error")
        return htmx.see_other(url_for("settings.show"))
    except VaultError:
        db.session.rollback()
        flash(_("The stored secret cannot be opened: tell your operator."), "error")
        return htmx.see_other(url_for("settings.show"))
    db.session.commit()
    _say_registration(_("The new secret is on Cal.com; the old one is valid until you retire it"))
    return htmx.see_other(url_for("settings.show"))


@blueprint.get("/webhook/retirements")
@admins_only
def confirm_retirement() -> ResponseReturnValue:
    return render_page("settings/retirement.html", form=ConfirmedForm(), company=_company())


@blueprint.post("/webhook/retirements")
@reauthentication.throttled
@admins_only
def retire() -> ResponseReturnValue:
    """Whoever still signs with the old secret stands before a closed door."""
    form = ConfirmedForm(request.form)
    if not form.validate() or not reauthentication.is_confirmed(form):
        return render_page("settings/retirement.html", form=form, company=_company()), 422
    is_retired = retire_previous_secret(db.session(), user_id=require_person().id, now=clock.now())
    db.session.commit()
    if is_retired:
        flash(_("The old secret opens nothing any more."), "success")
    else:
        flash(_("There is no old secret."), "info")
    return htmx.see_other(url_for("settings.show"))


def webhook_address() -> str:
    """What Cal.com has to call."""
    path = url_for("calcom_webhook.receive", token=_company().webhook_token)
    return settings().public_url + path


def _write(form: ConnectionForm) -> bool:
    """False, with an error in the form, where it can't be used."""
    try:
        judge_address(form.base_url.data or "")
        unbound = change_connection(
            db.session(),
            vault(),
            base_url=form.base_url.data or "",
            api_key=form.api_key.data or None,
            webhook_secret=form.webhook_secret.data or None,
            allow_private_networks=settings().allow_private_networks,
            user_id=require_person().id,
            now=clock.now(),
        )
    except AddressError as error:
        refuse(form.base_url, _why_not_called(error))
    except KeyNeeded:
        refuse(form.api_key, _("Enter the API key: it is not sent to another address by itself."))
    else:
        _say_unbound(unbound)
        return True
    db.session.rollback()
    return False


def _why_not_called(error: AddressError) -> str:
    if error.reason in ("private", "unresolvable"):
        return str(ADDRESS_REFUSALS[error.reason])
    return _(
        "This address cannot be called. It begins with https://, as in https://api.cal.com/v2, and"
        " holds no user or password."
    )


def _say_unbound(number: int) -> None:
    if not number:
        return
    text = ngettext(
        "%(num)s service lost its event type, which was the other server's. Choose one under"
        " Services: until then its changes are not sent.",
        "%(num)s services lost their event types, which were the other server's. Choose them under"
        " Services: until then their changes are not sent.",
        number,
    )
    flash(text, "warning")


def _say_check() -> None:
    try:
        account = check_connection()
    except CalcomError as error:
        _say_trouble(_("Cal.com does not answer as it should"), error)
        return
    name = account.name or account.username or account.email
    flash(_("Connected as %(name)s.", name=name), "success")


def _say_registration(done: str) -> None:
    address = webhook_address()
    try:
        register_webhook(address, user_id=require_person().id)
        trouble = ping_webhook(address)
    except CalcomError as error:
        _say_trouble(_("The webhook could not be registered"), error)
    except VaultError:
        db.session.rollback()
        flash(_("The stored secret cannot be opened: tell your operator."), "error")
    else:
        _say_ping(done, trouble)


def _say_ping(done: str, trouble: str | None) -> None:
    if trouble is None:
        flash(_("%(done)s, and a test ping came through.", done=done), "success")
        return
    text = _(
        "%(done)s, but a test ping to it failed (%(trouble)s). Ask your operator whether this"
        " server's public address is right.",
        done=done,
        trouble=trouble,
    )
    flash(text, "warning")


def _say_trouble(what: str, error: CalcomError) -> None:
    text = f"{what}: {explain(error.code).meaning} {_advice(error)}"
    flash(f"{text} ({error.detail})" if error.detail else text, "error")


def _advice(error: CalcomError) -> str:
    """Nothing here is tried again by itself, so that is not what is advised."""
    if isinstance(error, (Unavailable, Postponed)):
        return _("Try again in a moment.")
    return str(explain(error.code).advice)


def _way_back() -> str:
    """To the guide, where its buttons were pressed."""
    is_guide = request.form.get("back") == "guide"
    return url_for("first_steps.show" if is_guide else "settings.show")


def _company() -> Company:
    return db.session.get_one(Company, require_company_id())


def _render(form: ConnectionForm) -> str:
    return render_page("settings/connection.html", form=form, company=_company())
