"""Links by mail: an invitation, and a password that was forgotten."""

import re
import time
from datetime import timedelta
from email.message import EmailMessage

import pytest
from flask import Flask
from sqlalchemy import Engine, text

from tests.factories import PASSWORD, Person
from tests.notify.conftest import Postbox, work
from tests.views.conftest import Visitor
from tests.views.markup import said_in
from webapp import clock
from webapp.sync.people import FRESH


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    return Visitor(app)


def due_work(app: Flask) -> None:
    with app.app_context():
        work()


def said_in_mail(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def link_in(postbox: Postbox, index: int = -1) -> str:
    said = said_in_mail(postbox.mails[index])
    found = re.search(r"http://127\.0\.0\.1:8000(/\w+/[\w-]+)", said)
    assert found is not None
    return found[1]


def test_an_invitation_is_mailed_and_its_link_lets_in(
    app: Flask, admin: Person, visitor: Visitor, postbox: Postbox
) -> None:
    at_admin = Visitor(app)
    at_admin.log_in(admin)
    form = {"email": "neu@example.org", "role": "staff", "current": PASSWORD}
    assert at_admin.post("/settings/users/invitations", form).status_code == 303
    due_work(app)
    assert postbox.recipients == ["neu@example.org"]
    assert "Company sonnenschein" in said_in_mail(postbox.mails[0])
    link = link_in(postbox)
    assert link.split("/")[-1] not in at_admin.page("/settings/users")
    own = {"name": "Neu", "new": "a brand new password", "repeated": "a brand new password"}
    assert visitor.post(link, {**own, "language": "en"}).status_code == 303


def test_a_forgotten_password_is_chosen_anew_by_mail(
    app: Flask, manager: Person, visitor: Visitor, postbox: Postbox
) -> None:
    answer = visitor.post("/passwords", {"email": manager.email.upper()})
    assert (answer.status_code, answer.location) == (303, "/login")
    due_work(app)
    assert postbox.recipients == [manager.email]
    chosen = {"new": "a brand new password", "repeated": "a brand new password"}
    assert visitor.post(link_in(postbox), chosen).status_code == 303
    assert Visitor(app).log_in(manager, "a brand new password").status_code == 303


def test_whether_somebody_has_that_e_mail_is_not_told(
    app: Flask, manager: Person, visitor: Visitor, postbox: Postbox
) -> None:
    answers = []
    for email in (manager.email, "nobody@example.org"):
        fresh = Visitor(app)
        answer = fresh.post("/passwords", {"email": email})
        answers.append((answer.status_code, answer.location, said_in(fresh.page("/login"))))
    assert answers[0] == answers[1]


def test_asking_again_and_again_is_throttled_and_only_the_newest_link_holds(
    app: Flask, manager: Person, visitor: Visitor, postbox: Postbox
) -> None:
    for _ in range(2):
        visitor.post("/passwords", {"email": manager.email})
        due_work(app)
        clock.advance(FRESH)
    links = [link_in(postbox, index) for index in range(2)]
    assert [visitor.get(link).status_code for link in links] == [404, 200]
    visitor.post("/passwords", {"email": manager.email})
    assert visitor.post("/passwords", {"email": manager.email}).status_code == 429


def test_a_stranger_who_asks_in_somebodys_name_ends_no_link_and_uses_up_no_try(
    app: Flask, manager: Person, visitor: Visitor, postbox: Postbox
) -> None:
    visitor.post("/passwords", {"email": manager.email})
    due_work(app)
    elsewhere = {"environ_base": {"REMOTE_ADDR": "127.0.1.1"}}
    stranger = app.test_client()
    codes = [
        stranger.post("/passwords", data={"email": manager.email}, **elsewhere).status_code
        for _ in range(4)
    ]
    due_work(app)
    assert codes == [303, 303, 303, 429]
    assert postbox.recipients == [manager.email]
    assert visitor.get(link_in(postbox)).status_code == 200
    clock.advance(FRESH)
    assert visitor.post("/passwords", {"email": manager.email}).status_code == 303
    due_work(app)
    assert postbox.recipients == [manager.email] * 2


def test_the_answer_takes_the_same_time_whether_somebody_is_mailed_or_not(
    app: Flask,
    manager: Person,
    visitor: Visitor,
    postbox: Postbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(app.config, "EVEN_TIME_SECONDS", 0.2)
    for email in (manager.email, "nobody@example.org"):
        began = time.monotonic()
        assert visitor.post("/passwords", {"email": email}).status_code == 303
        assert time.monotonic() - began >= 0.2


def test_who_is_barred_gets_no_mail(
    app: Flask, manager: Person, visitor: Visitor, postbox: Postbox, owner_engine: Engine
) -> None:
    with owner_engine.begin() as connection:
        connection.execute(
            text("UPDATE users SET is_enabled = false WHERE id = :id"), {"id": manager.id}
        )
    visitor.post("/passwords", {"email": manager.email})
    due_work(app)
    assert postbox.mails == []


def test_a_mail_server_that_is_away_is_tried_again(
    app: Flask, manager: Person, visitor: Visitor, postbox: Postbox, owner_engine: Engine
) -> None:
    postbox.refusal = "451 later"
    visitor.post("/passwords", {"email": manager.email})
    due_work(app)
    with owner_engine.connect() as connection:
        row = connection.execute(text("SELECT mail_error, mail_due_at FROM access_links")).one()
    assert row.mail_error == "RECIPIENT_REFUSED"
    assert row.mail_due_at > clock.now()
    postbox.refusal = None
    clock.advance(timedelta(seconds=16))
    due_work(app)
    assert postbox.recipients == [manager.email]
    assert visitor.get(link_in(postbox)).status_code == 200
