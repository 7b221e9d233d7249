"""Mail, over the operator's SMTP server (RFC 5321)."""

import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate
from urllib.parse import unquote, urlsplit

from webapp.notify.letters import Letter
from webapp.notify.trouble import ChannelTrouble

TIMEOUT_SECONDS = 15.0
PORTS = {"smtp": 587, "smtps": 465, "smtp-plain": 25}


@dataclass(frozen=True, slots=True)
class MailServer:
    """Out of `SMTP_URL`: `smtp://` upgrades to TLS or refuses, `smtps://` is TLS from the start,
    `smtp-plain://` is for a server on the same machine."""

    scheme: str
    host: str
    port: int
    user: str | None
    password: str | None


def parse_mail_server(url: str) -> MailServer:
    """Read `scheme://user:password@host:port`, as the settings have checked it."""
    parts = urlsplit(url)
    return MailServer(
        parts.scheme,
        parts.hostname or "localhost",
        parts.port or PORTS[parts.scheme],
        unquote(parts.username) if parts.username else None,
        unquote(parts.password) if parts.password else None,
    )


def send_mail(server: MailServer, letter: Letter, *, sender: str, to: str, message_id: str) -> None:
    """Hand a letter over; raises ChannelTrouble. `message_id` stays the same over retries."""
    message = _compose(letter, sender=sender, to=to, message_id=message_id)
    try:
        with _connect(server) as smtp:
            smtp.send_message(message)
    except smtplib.SMTPRecipientsRefused as error:
        code = next(iter(error.recipients.values()))[0]
        raise ChannelTrouble("RECIPIENT_REFUSED", f"SMTP {code}", is_final=code >= 500) from None
    except smtplib.SMTPResponseException as error:
        raise ChannelTrouble("SMTP_REFUSED", f"SMTP {error.smtp_code}", is_final=False) from None
    except (smtplib.SMTPException, OSError) as error:
        raise ChannelTrouble("SMTP_AWAY", type(error).__name__, is_final=False) from None


def domain_of(address: str) -> str:
    """The part behind the @, for message ids."""
    return address.rpartition("@")[2].strip("> ") or "localhost"


def new_message_id(sender: str, company_id: int, sending_id: int) -> str:
    """One id per envelope: a server that got it twice can tell."""
    return f"<sending.{company_id}.{sending_id}@{domain_of(sender)}>"


def _compose(letter: Letter, *, sender: str, to: str, message_id: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = sender
    message["To"] = to
    message["Subject"] = letter.subject
    message["Date"] = formatdate()
    message["Message-ID"] = message_id
    if letter.preferences_url is not None:
        message["List-Unsubscribe"] = f"<{letter.preferences_url}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text)
    message.add_alternative(letter.html, subtype="html")
    return message


def _connect(server: MailServer) -> smtplib.SMTP:
    context = ssl.create_default_context()
    if server.scheme == "smtps":
        smtp: smtplib.SMTP = smtplib.SMTP_SSL(
            server.host, server.port, timeout=TIMEOUT_SECONDS, context=context
        )
    else:
        smtp = smtplib.SMTP(server.host, server.port, timeout=TIMEOUT_SECONDS)
    if server.scheme == "smtp":
        smtp.starttls(context=context)
    if server.user:
        smtp.login(server.user, server.password or "")
    return smtp
