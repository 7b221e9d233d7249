"""Who is told outside the inbox: whether staff are mailed, the chat channels, what was sent."""

from flask import Blueprint, abort, flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from webapp import clock
from webapp.application import settings, vault
from webapp.calcom.addresses import AddressError
from webapp.extensions import db
from webapp.models.audit import Actor, record_audit
from webapp.models.chat_channel import ChatChannel
from webapp.models.company import Company
from webapp.models.notification import NotificationType
from webapp.models.sending import Sending, SendingStatus
from webapp.models.tenancy import require_company_id
from webapp.models.user import User
from webapp.notify.chat import check_chat_address
from webapp.notify.envelopes import put_out_test, try_again
from webapp.notify.inbox import close_told
from webapp.notify.recipients import NEVER_LEAVES
from webapp.notify.trouble import subjects_of
from webapp.notify.wording import TITLES
from webapp.views import htmx, reauthentication
from webapp.views.access import admins_only, find_or_404, require_person
from webapp.views.forms.fields import refuse
from webapp.views.forms.settings import ChannelForm
from webapp.views.pages import render_page
from webapp.views.wording import ADDRESS_REFUSALS
from webapp.views.words import gettext as _

blueprint = Blueprint("channels", __name__, url_prefix="/settings/notifications")

SENDINGS_SHOWN = 25


@blueprint.get("")
@admins_only
def index() -> ResponseReturnValue:
    return _render(ChannelForm())


@blueprint.post("/staff-mail")
@admins_only
def choose_staff_mail() -> ResponseReturnValue:
    company = db.session.get_one(Company, require_company_id())
    company.mails_staff = request.form.get("mails_staff") == "yes"
    _audit("staff_mail_chosen", f"company:{company.id}", mails_staff=company.mails_staff)
    db.session.commit()
    flash(_("Saved."), "success")
    return htmx.see_other(url_for(".index"))


@blueprint.post("/channels")
@reauthentication.throttled
@admins_only
def add() -> ResponseReturnValue:
    form = ChannelForm(request.form)
    if not form.validate() or not reauthentication.is_confirmed(form):
        return _render(form), 422
    try:
        address, kind = check_chat_address(
            form.address.data or "", allow_private=settings().allow_private_networks
        )
    except AddressError as error:
        refuse(form.address, ADDRESS_REFUSALS[error.reason])
        return _render(form), 422
    channel = _store(form.name.data or abort(422), kind, address)
    put_out_test(db.session(), user_id=None, channel_id=channel.id, now=clock.now())
    db.session.commit()
    flash(_("Added. A test message is on its way to it."), "success")
    return htmx.see_other(url_for(".index"))


@blueprint.post("/channels/<int:chat_channel_id>/types")
@admins_only
def choose_types(chat_channel_id: int) -> ResponseReturnValue:
    """Which types a channel wants, and whether it wants any now."""
    channel = find_or_404(ChatChannel, chat_channel_id)
    wanted = set(request.form.getlist("types"))
    channel.muted_types = [type_.value for type_ in leaving_types() if type_.value not in wanted]
    channel.is_enabled = request.form.get("enabled") == "yes"
    if not channel.is_enabled:
        _end_trouble(channel)
    _audit("channel_changed", f"channel:{channel.id}", is_enabled=channel.is_enabled)
    db.session.commit()
    flash(_("Saved."), "success")
    return htmx.see_other(url_for(".index"))


@blueprint.get("/channels/<int:chat_channel_id>/removals")
@admins_only
def confirm_removal(chat_channel_id: int) -> ResponseReturnValue:
    """A question first: its address can't be had back."""
    channel = find_or_404(ChatChannel, chat_channel_id)
    if htmx.is_htmx():
        return render_template("channels/_removal.html", channel=channel)
    return render_page("channels/removal.html", channel=channel)


@blueprint.post("/channels/<int:chat_channel_id>/removals")
@admins_only
def remove(chat_channel_id: int) -> ResponseReturnValue:
    channel = find_or_404(ChatChannel, chat_channel_id)
    _end_trouble(channel)
    db.session.delete(channel)
    _audit("channel_removed", f"channel:{chat_channel_id}", kind=channel.kind)
    db.session.commit()
    flash(_("Removed."), "success")
    return htmx.see_other(url_for(".index"))


@blueprint.post("/channels/<int:chat_channel_id>/tests")
@admins_only
def probe_channel(chat_channel_id: int) -> ResponseReturnValue:
    channel = find_or_404(ChatChannel, chat_channel_id)
    return _send_test(user_id=None, channel_id=channel.id)


@blueprint.post("/tests")
@admins_only
def probe_mail() -> ResponseReturnValue:
    """A test message to the reader's own address."""
    return _send_test(user_id=require_person().id, channel_id=None)


@blueprint.post("/sendings/<int:sending_id>/retries")
@admins_only
def retry(sending_id: int) -> ResponseReturnValue:
    sending = find_or_404(Sending, sending_id)
    is_due = try_again(db.session(), sending.id, now=clock.now())
    db.session.commit()
    flash(_("Trying again now.") if is_due else _("It is not waiting any more."), "info")
    return htmx.see_other(url_for(".index"))


def leaving_types() -> list[NotificationType]:
    """The types that may leave the house."""
    return [type_ for type_ in TITLES if type_ not in NEVER_LEAVES]


def _send_test(*, user_id: int | None, channel_id: int | None) -> ResponseReturnValue:
    put_out_test(db.session(), user_id=user_id, channel_id=channel_id, now=clock.now())
    db.session.commit()
    flash(_("A test message is on its way. Its outcome is listed below in a moment."), "info")
    return htmx.see_other(url_for(".index"))


def _store(name: str, kind: str, address: str) -> ChatChannel:
    channel = ChatChannel(
        company_id=require_company_id(), name=name, kind=kind, created_at=clock.now()
    )
    channel.muted_types = []
    channel.set_address(address, vault())
    db.session.add(channel)
    db.session.flush()
    _audit("channel_added", f"channel:{channel.id}", kind=kind)
    return channel


def _end_trouble(channel: ChatChannel) -> None:
    """Nobody has to be told any more that it fails."""
    [subject] = subjects_of(None, channel.id)
    close_told(db.session(), [NotificationType.CHANNEL_FAILED], subject, now=clock.now())


def _audit(action: str, subject: str, **data: object) -> None:
    record_audit(
        db.session(),
        action,
        subject,
        at=clock.now(),
        actor=Actor.USER,
        user_id=require_person().id,
        **data,
    )


def _render(form: ChannelForm) -> str:
    return render_page(
        "channels/index.html",
        form=form,
        company=db.session.get_one(Company, require_company_id()),
        channels=_channels(),
        sendings=_sendings(),
        types=leaving_types(),
        titles=TITLES,
        has_mail_server=settings().smtp_url is not None,
        SendingStatus=SendingStatus,
    )


def _channels() -> list[ChatChannel]:
    return list(
        db.session.scalars(
            select(ChatChannel)
            .where(ChatChannel.company_id == require_company_id())
            .order_by(ChatChannel.id)
        )
    )


def _sendings() -> list[tuple[Sending, str]]:
    """The latest envelopes, and to whom each went."""
    rows = db.session.execute(
        select(Sending, User.name.label("person"), ChatChannel.name.label("channel"))
        .outerjoin(User, (User.company_id == Sending.company_id) & (User.id == Sending.user_id))
        .outerjoin(
            ChatChannel,
            (ChatChannel.company_id == Sending.company_id) & (ChatChannel.id == Sending.channel_id),
        )
        .where(Sending.company_id == require_company_id())
        .order_by(Sending.created_at.desc(), Sending.id.desc())
        .limit(SENDINGS_SHOWN)
    )
    return [(row.Sending, row.person or row.channel) for row in rows]
