"""What goes wrong with mail and chat: told while it lasts, to the point, over by itself; and no
mail twice because its server was slow."""

import asyncio
from typing import Any

import pytest
from flask import Flask

from tests.factories import PASSWORD, Person, Tenant, make_appointment
from tests.notify.conftest import ChatRoom, Postbox, add_channel, sendings, work
from tests.notify.test_sendings import find, items, wait
from tests.views.conftest import Visitor
from webapp.models.notification import NotificationType
from webapp.models.sending import SendingStatus
from webapp.notify import mail

FAILED = NotificationType.CHANNEL_FAILED


@pytest.fixture
def at_admin(app: Flask, admin: Person) -> Visitor:
    visitor = Visitor(app)
    visitor.log_in(admin)
    return visitor


def find_and_send(company: Tenant) -> None:
    find(company, make_appointment(company))
    wait(4)
    work()


def refuse(postbox: Postbox, email: str, monkeypatch: pytest.MonkeyPatch) -> None:
    take = postbox.handle_RCPT

    async def handle(server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address == email:
            return "550 no such user"
        return await take(server, session, envelope, address, options)

    monkeypatch.setattr(postbox, "handle_RCPT", handle)


def test_one_bad_mailbox_stays_told_though_the_others_work(
    app: Flask,
    company: Tenant,
    admin: Person,
    manager: Person,
    postbox: Postbox,
    at_admin: Visitor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch, app.app_context():
        refuse(postbox, manager.email, patch)
        for _ in range(2):
            find_and_send(company)
        [told] = items(company, user_id=admin.id, type=FAILED)
        assert (told.subject, told.closed_at) == (f"mail:{manager.id}", None)
    assert "To whom: Manager of sonnenschein" in at_admin.page("/notifications?type=channel_failed")
    with app.app_context():
        find_and_send(company)
        [told] = items(company, user_id=admin.id, type=FAILED)
        assert told.closed_at is not None, "a letter that arrived closes it"


def test_who_is_let_in_no_more_needs_no_mail(
    app: Flask,
    company: Tenant,
    admin: Person,
    manager: Person,
    postbox: Postbox,
    at_admin: Visitor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch, app.app_context():
        refuse(postbox, manager.email, patch)
        find_and_send(company)
    at_admin.post(f"/settings/users/{manager.id}/deactivations", {"current": PASSWORD})
    with app.app_context():
        assert [
            each.closed_at is None for each in items(company, user_id=admin.id, type=FAILED)
        ] == [False]


@pytest.mark.parametrize("way", ["removals", "types"])
def test_a_channel_that_is_taken_away_or_switched_off_is_no_trouble_any_more(
    app: Flask,
    company: Tenant,
    admin: Person,
    chat_room: ChatRoom,
    at_admin: Visitor,
    way: str,
) -> None:
    channel = add_failing_channel(app, company, chat_room)
    at_admin.post(f"/settings/notifications/channels/{channel}/{way}", {})
    with app.app_context():
        [told] = items(company, user_id=admin.id, type=FAILED)
        assert told.closed_at is not None


def add_failing_channel(app: Flask, company: Tenant, chat_room: ChatRoom) -> int:
    chat_room.status = 500
    with app.app_context():
        channel = add_channel(app, company, chat_room.address)
        find_and_send(company)
        wait(16)
        work()
        assert [each.closed_at for each in items(company, type=FAILED)] == [None]
    return channel


def test_without_a_mail_server_none_is_in_trouble(
    app: Flask, company: Tenant, admin: Person, postbox: Postbox
) -> None:
    postbox.refusal = "550 no such user"
    with app.app_context():
        find_and_send(company)
        assert [each.closed_at for each in items(company, type=FAILED)] == [None]
        app.extensions["settings"] = app.extensions["settings"].model_copy(
            update={"smtp_url": None}
        )
        find_and_send(company)
        assert None not in [each.closed_at for each in items(company, type=FAILED)]


def answer_late(postbox: Postbox, monkeypatch: pytest.MonkeyPatch, *, seconds: float) -> None:
    """A server that has taken the mail, and scans it before it says so."""
    take = postbox.handle_DATA

    async def handle(*args: Any) -> str:
        said = await take(*args)
        await asyncio.sleep(seconds)
        return said

    monkeypatch.setattr(postbox, "handle_DATA", handle)


@pytest.mark.usefixtures("engine")
def test_a_server_that_scans_before_it_answers_gets_one_mail(
    company: Tenant, admin: Person, postbox: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "TIMEOUT_SECONDS", 0.5)
    answer_late(postbox, monkeypatch, seconds=0.7)
    find_and_send(company)
    assert len(postbox.mails) == 1
    assert [each.status for each in sendings(company)] == [SendingStatus.SENT]


@pytest.mark.usefixtures("engine")
def test_a_mail_whose_end_is_unknown_is_sent_once_more_and_not_for_a_day(
    company: Tenant, admin: Person, postbox: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "END_OF_DATA_SECONDS", 0.1)
    answer_late(postbox, monkeypatch, seconds=0.3)
    find_and_send(company)
    waiting = sendings(company)[0]
    assert (waiting.status, waiting.error_code) == (SendingStatus.WAITING, "SMTP_UNSURE")
    for _ in range(4):
        wait(901)
        work()
    assert len(postbox.mails) == 2
    assert [(each.status, each.error_code) for each in sendings(company)] == [
        (SendingStatus.FAILED, "SMTP_UNSURE")
    ]


@pytest.mark.usefixtures("engine")
def test_a_server_that_is_away_after_an_unknown_end_is_still_tried_once_only(
    company: Tenant,
    admin: Person,
    postbox: Postbox,
    app: Flask,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mail, "END_OF_DATA_SECONDS", 0.1)
    answer_late(postbox, monkeypatch, seconds=0.3)
    find_and_send(company)
    up = app.extensions["settings"]
    app.extensions["settings"] = up.model_copy(update={"smtp_url": "smtp-plain://127.0.0.1:1"})
    wait(901)
    work()
    app.extensions["settings"] = up
    for _ in range(3):
        wait(901)
        work()
    assert len(postbox.mails) == 2


@pytest.mark.usefixtures("engine")
def test_what_a_server_says_to_quit_decides_nothing(
    company: Tenant, admin: Person, postbox: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def handle(*_args: Any) -> str:
        return "500 not now"

    monkeypatch.setattr(postbox, "handle_QUIT", handle, raising=False)
    find_and_send(company)
    assert [each.status for each in sendings(company)] == [SendingStatus.SENT]


def test_a_link_whose_mails_end_is_unknown_is_not_replaced_by_another(
    app: Flask, manager: Person, postbox: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mail, "END_OF_DATA_SECONDS", 0.1)
    answer_late(postbox, monkeypatch, seconds=0.3)
    Visitor(app).post("/passwords", {"email": manager.email})
    with app.app_context():
        work()
        wait(901)
        work()
    assert len(postbox.mails) == 1
