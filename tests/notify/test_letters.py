"""What a letter says: news is no issue, what is over is not "once more", and a chat room reads no
footer about mail."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.factories import Person, Tenant, make_appointment
from tests.notify.conftest import ChatRoom, add_channel, work
from tests.notify.test_sendings import find, wait
from webapp.models.notification import Notification, NotificationType
from webapp.notify.letters import Letter, Reader, write_letter

pytestmark = pytest.mark.usefixtures("engine")
AT = datetime(2026, 3, 4, 12, tzinfo=UTC)


def letter_about(*items: Notification, locale: str = "en") -> Letter:
    reader = Reader(locale, ZoneInfo("UTC"), "Praxis")
    return write_letter(items, reader, public_url="https://desk.example", is_mail=True)


def item(type_: NotificationType, **columns: Any) -> Notification:
    values = {"id": 1, "subject": "x", "parameters": {}, "repeat_count": 1, "last_at": AT}
    return Notification(type=type_, **values | columns)


def over() -> Notification:
    said = {"kind": "orphans", "value": 3, "bound": 5, "is_over": True}
    return item(NotificationType.THRESHOLD_CROSSED, parameters=said)


@pytest.mark.parametrize(
    ("type_", "subject"),
    [
        (NotificationType.BULK_FINISHED, "Your bulk action has ended"),
        (NotificationType.BOOKING_ADOPTED, "A booking found on Cal.com was taken over #7"),
    ],
)
def test_news_is_no_issue_and_needs_nobody(type_: NotificationType, subject: str) -> None:
    appointment = 7 if type_ is NotificationType.BOOKING_ADOPTED else None
    letter = letter_about(item(type_, appointment_id=appointment))
    assert letter.subject == subject
    assert letter.text.startswith("For your information:")


@pytest.mark.parametrize(
    ("locale", "greeting", "title"),
    [
        ("en", "This is back to normal:", "Back within the threshold: Orphans found within a day"),
        ("de", "Das ist wieder im Rahmen:", "Wieder im Rahmen: "),
    ],
)
def test_what_is_over_is_not_once_more(locale: str, greeting: str, title: str) -> None:
    letter = letter_about(over(), locale=locale)
    assert letter.text.startswith(greeting)
    assert letter.subject.startswith(title)


def test_news_beside_an_issue_needs_somebody() -> None:
    letter = letter_about(over(), item(NotificationType.CONNECTION_BROKEN))
    assert letter.subject == "Cal.com sync issues: 2"
    assert letter.text.startswith("This needs somebody's attention:")


def test_a_chat_room_reads_no_footer_about_mail(
    app: Any, company: Tenant, admin: Person, chat_room: ChatRoom
) -> None:
    add_channel(app, company, chat_room.address)
    find(company, make_appointment(company))
    wait(4)
    work()
    said = chat_room.posts[0]["message"]
    assert "/notifications/" in said
    assert said.rstrip().endswith("Company sonnenschein · Lockstep")
    assert "/profile/notifications" not in said
