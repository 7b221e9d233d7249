"""What a message says: subject, text and HTML, in the reader's language and the company's time.

Outside the login nothing personal is told: the id, the time and the issue (S7).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from babel.dates import format_datetime
from flask_babel import force_locale
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from webapp.models.notification import Notification
from webapp.notify.wording import is_news, title_of
from webapp.notify.words import gettext

TEMPLATES = Path(__file__).resolve().parents[2] / "templates" / "mail"


@dataclass(frozen=True, slots=True)
class Reader:
    """For whom a message is written."""

    locale: str
    zone: ZoneInfo
    company_name: str


@dataclass(frozen=True, slots=True)
class Letter:
    """`preferences_url`: where its reader chooses what they are mailed; None where they asked, or
    where it is no mail."""

    subject: str
    text: str
    html: str
    preferences_url: str | None


class Line(NamedTuple):
    """One item in a message."""

    title: str
    at: str
    url: str
    button: str


def write_letter(
    items: Sequence[Notification], reader: Reader, *, public_url: str, is_mail: bool
) -> Letter:
    """A message about these items; without any it is a test. Call inside the app's context.

    Only a mail says where its reader chooses what they are mailed.
    """
    with force_locale(reader.locale):
        lines = [_line(item, reader, public_url) for item in items]
        subject = _subject(items)
        preferences_url = f"{public_url}/profile/notifications" if is_mail else None
        words = {
            "subject": subject,
            "greeting": _greeting(items),
            "lines": lines,
            "company": reader.company_name,
            "preferences_url": preferences_url,
            "language": reader.locale,
            "gettext": gettext,
        }
        return Letter(
            subject=subject,
            text=render_letter("letter.txt", words),
            html=render_letter("letter.html", words),
            preferences_url=preferences_url,
        )


def render_letter(template: str, words: Mapping[str, object]) -> str:
    """A template of mail with its words."""
    return _templates().get_template(template).render(words)


def _subject(items: Sequence[Notification]) -> str:
    if not items:
        return gettext("Test message from Lockstep")
    first = items[0]
    if len(items) == 1 and is_news(first):
        return title_of(first)
    if len(items) > 1:
        return gettext("Cal.com sync issues: %(number)s", number=len(items))
    if first.appointment_id is not None:
        return gettext("Cal.com sync issue: appointment #%(id)s", id=first.appointment_id)
    return gettext("Cal.com sync issue: %(title)s", title=title_of(first))


def _greeting(items: Sequence[Notification]) -> str:
    if not items:
        return gettext("If you read this, messages from Lockstep reach you.")
    if all(item.parameters.get("is_over") for item in items):
        return gettext("This is back to normal:")
    if all(is_news(item) for item in items):
        return gettext("For your information:")
    return gettext("This needs somebody's attention:")


def _line(item: Notification, reader: Reader, public_url: str) -> Line:
    button = gettext("Review appointment") if item.appointment_id else gettext("Look at it")
    return Line(
        title_of(item), _time(item.last_at, reader), f"{public_url}/notifications/{item.id}", button
    )


def _time(instant: datetime, reader: Reader) -> str:
    return str(format_datetime(instant, "medium", tzinfo=reader.zone, locale=reader.locale))


@lru_cache(maxsize=1)
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(("html",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
