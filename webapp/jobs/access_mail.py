"""The mail with a link that lets somebody in: claim, commit, send, record, commit. Its secret is
made when it leaves, so that no queue and no row holds it."""

from datetime import timedelta

from webapp import clock
from webapp.application import settings
from webapp.extensions import db
from webapp.logs import log
from webapp.models.access_link import AccessLink, LinkKind
from webapp.models.company import Company
from webapp.models.tenancy import as_company, require_company_id
from webapp.models.user import User
from webapp.notify.access_letters import write_access_letter
from webapp.notify.letters import Letter
from webapp.notify.mail import UNSURE, domain_of, parse_mail_server, send_mail
from webapp.notify.trouble import ChannelTrouble
from webapp.sync.people import MOST_MAIL_TRIES, end_mail, take_mail

PAUSES = (timedelta(seconds=15), timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15))


def send(company_id: int, link_id: int) -> None:
    """Send a link's mail; where that fails it is tried again with another secret."""
    with as_company(company_id):
        taken = take_mail(db.session(), link_id, now=clock.now())
        if taken is None or settings().smtp_url is None:
            db.session.rollback()
            return
        link, text = taken
        attempt, to = link.mail_attempt_count, link.email
        letter = _write(link, text)
        db.session.commit()
        _send(link_id, letter, to, attempt)


def _write(link: AccessLink, text: str) -> Letter:
    company = db.session.get_one(Company, require_company_id())
    locale = company.locale
    if link.user_id is not None:
        locale = db.session.get_one(User, (company.id, link.user_id)).locale
    room = "invitations" if link.kind is LinkKind.INVITATION else "passwords"
    return write_access_letter(
        link.kind, locale, company.name, url=f"{settings().public_url}/{room}/{text}"
    )


def _send(link_id: int, letter: Letter, to: str, attempt: int) -> None:
    sender = settings().mail_from
    message_id = f"<link.{require_company_id()}.{link_id}.{attempt}@{domain_of(sender)}>"
    error, again_at = None, None
    try:
        send_mail(
            parse_mail_server(settings().smtp_url or ""),
            letter,
            sender=sender,
            to=to,
            message_id=message_id,
        )
    except ChannelTrouble as trouble:
        error = trouble.code
        # A mail that may have arrived is not sent again: its link would be replaced.
        is_over = trouble.is_final or trouble.code == UNSURE or attempt >= MOST_MAIL_TRIES
        if not is_over:
            again_at = clock.now() + PAUSES[min(attempt, len(PAUSES)) - 1]
    end_mail(db.session(), link_id, now=clock.now(), error=error, again_at=again_at)
    db.session.commit()
    log("notify").info("access_mail", link_id=link_id, code=error, attempt=attempt)
