"""The sending job: claim an envelope, fill it, commit, hand it over, record, commit."""

from datetime import timedelta
from typing import NamedTuple

from webapp import clock
from webapp.application import settings, vault
from webapp.extensions import db
from webapp.logs import log
from webapp.models.chat_channel import ChatChannel
from webapp.models.company import Company
from webapp.models.notification import NotificationType
from webapp.models.sending import Pace, SendingStatus
from webapp.models.tenancy import as_company, require_company_id
from webapp.models.user import User
from webapp.models.vault import VaultError
from webapp.notify.chat import send_chat
from webapp.notify.envelopes import (
    Claim,
    claim_envelope,
    close_envelope,
    contents_of,
    keep_inside,
    put_off,
    stamp_sent,
)
from webapp.notify.inbox import close_all_told, tell
from webapp.notify.letters import Letter, Reader, write_letter
from webapp.notify.mail import UNSURE, new_message_id, parse_mail_server, send_mail
from webapp.notify.recipients import may_be_mailed
from webapp.notify.trouble import ChannelTrouble, subjects_of

RETRY_SECONDS = (15, 60, 300, 900)
"""Pauses before the retries; the last one again and again, for a day."""

MOST_ATTEMPTS = 100
TOLD_FROM_ATTEMPT = 2

WORKS_AGAIN = frozenset({SendingStatus.SENT, SendingStatus.UNSENDABLE})
"""What ends the trouble that a channel was in; without a mail server there is none to be in."""


class Message(NamedTuple):
    """A filled envelope, in plain values."""

    letter: Letter
    told: dict[int, int]
    """The items in it, and of how many troubles each tells."""
    to: str
    """A mail address, or a chat channel's sealed-off address."""


class NothingToSend(Exception):
    """`status` says why; `is_barred`: what there is may not leave, now or later."""

    def __init__(
        self, status: SendingStatus, code: str | None = None, *, is_barred: bool = True
    ) -> None:
        super().__init__(status.value)
        self.status = status
        self.code = code
        self.is_barred = is_barred


def send(company_id: int, sending_id: int) -> None:
    """Send what an envelope's recipient has not been sent yet."""
    with as_company(company_id):
        claim = claim_envelope(db.session(), sending_id, now=clock.now())
        db.session.commit()
        if claim is None:
            return
        try:
            message = _fill(claim)
            _hand_over(claim, message)
        except NothingToSend as reason:
            if reason.is_barred:
                keep_inside(db.session(), claim)
                db.session.commit()
            _close(claim, reason.status, error=(reason.code, "") if reason.code else None)
        except ChannelTrouble as trouble:
            _on_trouble(claim, trouble)
        else:
            if message.told:
                stamp_sent(db.session(), message.told, now=clock.now())
                db.session.commit()
            _close(claim, SendingStatus.SENT, sent_ids=list(message.told))


def _fill(claim: Claim) -> Message:
    """Raises NothingToSend, and ChannelTrouble where an address can't be opened."""
    try:
        items = [] if claim.pace is Pace.TEST else contents_of(db.session(), claim)
        if not items and claim.pace is not Pace.TEST:
            raise NothingToSend(SendingStatus.EMPTY, is_barred=False)
        company = db.session.get_one(Company, require_company_id())
        to, locale = _address(claim, company)
        reader = Reader(locale, company.zone, company.name)
        is_mail = claim.channel_id is None
        letter = write_letter(items, reader, public_url=settings().public_url, is_mail=is_mail)
        return Message(letter, {item.id: item.repeat_count for item in items}, to)
    finally:
        db.session.rollback()


def _address(claim: Claim, company: Company) -> tuple[str, str]:
    """Where it goes and in which language; rights are looked at again when it leaves."""
    if claim.user_id is not None:
        user = db.session.get_one(User, (company.id, claim.user_id))
        if settings().smtp_url is None:
            raise NothingToSend(SendingStatus.UNSENDABLE, "NO_MAIL_SERVER")
        if not user.is_enabled or not may_be_mailed(user.role, company.mails_staff):
            raise NothingToSend(SendingStatus.EMPTY)
        return user.email, user.locale
    channel = db.session.get_one(ChatChannel, (company.id, claim.channel_id))
    if not channel.is_enabled and claim.pace is not Pace.TEST:
        raise NothingToSend(SendingStatus.EMPTY)
    try:
        return channel.open_address(vault()), company.locale
    except VaultError:
        raise ChannelTrouble("CHAT_ADDRESS", "cannot be opened", is_final=True) from None


def _hand_over(claim: Claim, message: Message) -> None:
    if claim.user_id is None:
        send_chat(message.to, message.letter, allow_private=settings().allow_private_networks)
        return
    sender = settings().mail_from
    send_mail(
        parse_mail_server(settings().smtp_url or ""),
        message.letter,
        sender=sender,
        to=message.to,
        message_id=new_message_id(sender, require_company_id(), claim.sending_id),
    )


def _close(
    claim: Claim,
    status: SendingStatus,
    *,
    sent_ids: list[int] | None = None,
    error: tuple[str, str] | None = None,
) -> None:
    now = clock.now()
    is_ours = close_envelope(
        db.session(), claim, status, now=now, sent_ids=sent_ids or [], error=error
    )
    if is_ours and status in WORKS_AGAIN:
        over = subjects_of(claim.user_id, claim.channel_id)
        close_all_told(db.session(), [NotificationType.CHANNEL_FAILED], over, now=now)
    db.session.commit()
    log("notify").info(
        "sending_closed",
        sending_id=claim.sending_id,
        status=status.value,
        items=len(sent_ids or []),
        attempt=claim.attempt,
    )


def _on_trouble(claim: Claim, trouble: ChannelTrouble) -> None:
    """Later again; from the second failure on the company reads of it in the inbox."""
    trouble = _after(claim.last_error, trouble)
    now, error = clock.now(), (trouble.code, trouble.detail)
    if trouble.is_final or claim.attempt >= MOST_ATTEMPTS or claim.pace is Pace.TEST:
        keep_inside(db.session(), claim)
        db.session.commit()
        is_ours = close_envelope(db.session(), claim, SendingStatus.FAILED, now=now, error=error)
    else:
        pause = RETRY_SECONDS[min(claim.attempt, len(RETRY_SECONDS)) - 1]
        is_ours = put_off(db.session(), claim, until=now + timedelta(seconds=pause), error=error)
    is_news = trouble.is_final or claim.attempt == TOLD_FROM_ATTEMPT
    if is_ours and is_news and claim.pace is not Pace.TEST:
        _tell_of_trouble(claim, trouble)
    db.session.commit()
    log("notify").warning(
        "sending_failed",
        sending_id=claim.sending_id,
        code=trouble.code,
        detail=trouble.detail,
        attempt=claim.attempt,
    )


def _after(before: str | None, trouble: ChannelTrouble) -> ChannelTrouble:
    """What a trouble means after the one before: a mail that may have arrived is handed over once
    more, however often its server is away in between, and no third time."""
    if before != UNSURE:
        return trouble
    is_final = trouble.is_final or trouble.code == UNSURE
    return ChannelTrouble(UNSURE, trouble.detail, is_final=is_final)


def _tell_of_trouble(claim: Claim, trouble: ChannelTrouble) -> None:
    is_theirs = trouble.code == "RECIPIENT_REFUSED"
    tell(
        db.session(),
        NotificationType.CHANNEL_FAILED,
        subjects_of(claim.user_id, claim.channel_id)[0 if is_theirs else -1],
        now=clock.now(),
        code=trouble.code,
        channel_id=claim.channel_id,
        user_id=claim.user_id if is_theirs else None,
    )
