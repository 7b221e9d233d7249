"""Mail, over the operator's SMTP server (RFC 5321)."""

import smtplib
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate
from typing import Any
from urllib.parse import unquote, urlsplit

from webapp.notify.letters import Letter
from webapp.notify.trouble import ChannelTrouble

TIMEOUT_SECONDS = 15.0
END_OF_DATA_SECONDS = 120.0
"""How long a server may scan a mail before it says that it took it. RFC 5321 (4.5.3.2.6) asks for
ten minutes, for who gives up sooner sends it twice; a minute is usual, and a worker waits."""

UNSURE = "SMTP_UNSURE"
"""The server had the whole mail and did not say what became of it."""

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
    smtp = None
    try:
        smtp = _connect(server)
        smtp.send_message(message)
    except smtplib.SMTPRecipientsRefused as error:
        code = next(iter(error.recipients.values()))[0]
        raise ChannelTrouble("RECIPIENT_REFUSED", f"SMTP {code}", is_final=code >= 500) from None
    except smtplib.SMTPResponseException as error:
        raise ChannelTrouble("SMTP_REFUSED", f"SMTP {error.smtp_code}", is_final=False) from None
    except (smtplib.SMTPException, OSError) as error:
        has_it_all = smtp is not None and smtp.has_it_all
        name = type(error).__name__
        raise ChannelTrouble(UNSURE if has_it_all else "SMTP_AWAY", name, is_final=False) from None
    finally:
        if smtp is not None:
            smtp.part()


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


class _Manners:
    """What both kinds of connection do in the same way."""

    sock: socket.socket | None
    has_it_all = False
    """Whether the mail has left to its last dot: what becomes of it is the server's."""

    def send(self, s: Any) -> None:
        """Commands are text; the mail is bytes, and its end may take long."""
        super().send(s)  # type: ignore[misc]
        if isinstance(s, bytes) and self.sock is not None:
            self.has_it_all = True
            self.sock.settimeout(END_OF_DATA_SECONDS)

    def part(self) -> None:
        """Say goodbye, whatever the answer."""
        if self.sock is not None:
            self.sock.settimeout(TIMEOUT_SECONDS)
        with suppress(smtplib.SMTPException, OSError):
            self.quit()  # type: ignore[attr-defined]
        self.close()  # type: ignore[attr-defined]


class _Smtp(_Manners, smtplib.SMTP):
    pass


class _SmtpOverTls(_Manners, smtplib.SMTP_SSL):
    pass


def _connect(server: MailServer) -> _Smtp | _SmtpOverTls:
    context = ssl.create_default_context()
    smtp: _Smtp | _SmtpOverTls
    if server.scheme == "smtps":
        smtp = _SmtpOverTls(server.host, server.port, timeout=TIMEOUT_SECONDS, context=context)
    else:
        smtp = _Smtp(server.host, server.port, timeout=TIMEOUT_SECONDS)
    if server.scheme == "smtp":
        smtp.starttls(context=context)
    if server.user:
        smtp.login(server.user, server.password or "")
    return smtp
