"""From a finding to somebody's mail and chat: once, folded, in their language, and after an outage
one message instead of a flood."""

import smtplib
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from tests.factories import Person, Tenant, make_appointment, make_person
from tests.notify.conftest import ChatRoom, Postbox, add_channel, sendings, work
from webapp import clock
from webapp.extensions import db
from webapp.jobs import sendings as job
from webapp.models.appointment import Appointment
from webapp.models.discrepancy import DiscrepancyType, Resolution
from webapp.models.notification import Notification, NotificationType
from webapp.models.preference import MailPreference, MailWish
from webapp.models.sending import Pace, SendingStatus
from webapp.models.tenancy import as_company
from webapp.models.user import Role
from webapp.notify.envelopes import LEASE, put_out_test
from webapp.notify.inbox import tell
from webapp.sync.findings import Finding, close_finding, raise_finding
from webapp.sync.intents import lock_appointment

pytestmark = pytest.mark.usefixtures("engine")

MISMATCH = Finding(DiscrepancyType.DATA_MISMATCH, "DATA_MISMATCH")


def find(company: Tenant, appointment_id: int) -> None:
    with as_company(company.id):
        appointment = lock_appointment(db.session(), appointment_id)
        assert appointment is not None
        raise_finding(db.session(), appointment, MISMATCH, now=clock.now())
        db.session.commit()


def settle(company: Tenant, appointment_id: int) -> None:
    with as_company(company.id):
        close_finding(db.session(), appointment_id, Resolution.BY_ITSELF, now=clock.now())
        db.session.commit()


def wait(seconds: float) -> None:
    clock.advance(timedelta(seconds=seconds))


def items(company: Tenant, **columns: Any) -> list[Notification]:
    with as_company(company.id):
        found = list(db.session.scalars(select(Notification).filter_by(**columns)))
        db.session.expunge_all()
        return found


def test_a_finding_is_mailed_to_admins_and_managers_and_not_to_staff(
    company: Tenant,
    admin: Person,
    manager: Person,
    staff: Person,
    stranger: Person,
    postbox: Postbox,
) -> None:
    appointment = make_appointment(company)
    find(company, appointment)
    wait(4)
    work()
    assert sorted(postbox.recipients) == sorted([admin.email, manager.email])
    mail = postbox.mails[0]
    assert mail["Subject"] == f"Cal.com sync issue: appointment #{appointment}"
    text = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    html = mail.get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert "http://127.0.0.1:8000/notifications/" in text
    assert "Review appointment" in html
    assert mail["List-Unsubscribe"] == "<http://127.0.0.1:8000/profile/notifications>"


def test_no_personal_data_leaves_the_house(
    company: Tenant, admin: Person, postbox: Postbox, chat_room: ChatRoom, app: Flask
) -> None:
    add_channel(app, company, chat_room.address)
    appointment = make_appointment(company)
    find(company, appointment)
    wait(4)
    work()
    with as_company(company.id):
        customer = db.session.get_one(Appointment, (company.id, appointment)).customer_id
    assert customer
    told = str(postbox.mails[0]) + str(chat_room.posts[0])
    assert company.customer_email not in told
    assert "Consultation" not in told


def test_readers_have_their_own_language(company: Tenant, postbox: Postbox) -> None:
    make_person(company, Role.ADMIN, locale="de")
    make_person(company, Role.ADMIN, locale="en")
    find(company, make_appointment(company))
    wait(4)
    work()
    subjects = sorted(str(mail["Subject"]).split(":")[0] for mail in postbox.mails)
    assert subjects == ["Cal.com sync issue", "Cal.com-Abgleich"]


def test_five_hundred_equal_mismatches_make_one_folded_item_and_one_mail(
    company: Tenant, admin: Person, manager: Person, postbox: Postbox
) -> None:
    for _ in range(60):
        find(company, make_appointment(company))
    wait(4)
    work()
    assert len(items(company, user_id=admin.id)) == 1
    assert items(company, user_id=admin.id)[0].repeat_count == 60
    assert len(postbox.mails) == 2
    assert "60 appointments differ" in postbox.mails[0].get_body(("plain",)).get_content()  # type: ignore[union-attr]


def test_a_fold_closes_with_the_last_of_its_findings(company: Tenant, admin: Person) -> None:
    appointments = [make_appointment(company) for _ in range(6)]
    for each in appointments:
        find(company, each)
    for each in appointments[:-1]:
        settle(company, each)
    assert items(company, user_id=admin.id)[0].closed_at is None
    settle(company, appointments[-1])
    assert items(company, user_id=admin.id)[0].closed_at is not None


def test_trouble_that_is_over_before_it_leaves_is_not_mailed(
    company: Tenant, admin: Person, postbox: Postbox
) -> None:
    appointment = make_appointment(company)
    find(company, appointment)
    settle(company, appointment)
    wait(4)
    work()
    assert postbox.mails == []
    assert [each.status for each in sendings(company)] == [SendingStatus.EMPTY]


def test_a_mail_server_that_is_down_for_an_hour_loses_nothing_and_floods_nobody(
    company: Tenant, admin: Person, postbox: Postbox, app: Flask
) -> None:
    up = app.extensions["settings"]
    app.extensions["settings"] = up.model_copy(update={"smtp_url": "smtp-plain://127.0.0.1:1"})
    for _ in range(4):
        find(company, make_appointment(company))
        for _ in range(9):
            wait(100)
            work()
    failed = items(company, type=NotificationType.CHANNEL_FAILED)
    assert [each.closed_at for each in failed] == [None], "the inbox tells that mail fails, once"
    app.extensions["settings"] = up
    wait(901)
    work()
    assert len(postbox.mails) == 1
    text = postbox.mails[0].get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert text.count("http://127.0.0.1:8000/notifications/") == 4
    failed = items(company, type=NotificationType.CHANNEL_FAILED)
    assert failed[0].closed_at is not None, "and is over by itself"


def test_a_refused_recipient_is_given_up_and_told(
    company: Tenant, admin: Person, postbox: Postbox
) -> None:
    postbox.refusal = "550 no such user"
    find(company, make_appointment(company))
    wait(4)
    work()
    assert [(each.status, each.error_code) for each in sendings(company)] == [
        (SendingStatus.FAILED, "RECIPIENT_REFUSED")
    ]
    assert len(items(company, type=NotificationType.CHANNEL_FAILED)) == 1
    postbox.refusal = None
    find(company, make_appointment(company))
    wait(4)
    work()
    assert len(postbox.mails) == 1, "later news tries again"


def test_chat_is_told_and_a_muted_type_is_not(
    company: Tenant, chat_room: ChatRoom, app: Flask, admin: Person
) -> None:
    add_channel(app, company, chat_room.address, muted_types=["data_mismatch"])
    find(company, make_appointment(company))
    with as_company(company.id):
        tell(db.session(), NotificationType.CONNECTION_BROKEN, "connection", now=clock.now())
        db.session.commit()
    wait(4)
    work()
    assert [post["title"] for post in chat_room.posts] == [
        "Cal.com sync issue: The connection to Cal.com is broken"
    ]


def test_a_chat_service_that_refuses_is_tried_again(
    company: Tenant, chat_room: ChatRoom, app: Flask, admin: Person
) -> None:
    add_channel(app, company, chat_room.address)
    chat_room.status = 500
    find(company, make_appointment(company))
    wait(4)
    work()
    waiting = next(each for each in sendings(company) if each.channel_id)
    assert (waiting.status, waiting.error_code) == (SendingStatus.WAITING, "CHAT_REFUSED")
    chat_room.status = 200
    wait(16)
    work()
    assert len(chat_room.posts) == 2


def test_once_a_day_comes_at_seven_company_time(
    company: Tenant, admin: Person, postbox: Postbox
) -> None:
    with as_company(company.id):
        db.session.add(
            MailPreference(
                user_id=admin.id, type=NotificationType.DATA_MISMATCH, wish=MailWish.DAILY
            )
        )
        db.session.commit()
    find(company, make_appointment(company))
    wait(4)
    work()
    assert postbox.mails == []
    waiting = sendings(company)[0]
    assert waiting.pace is Pace.DAILY
    wait((waiting.due_at - clock.now()).total_seconds() + 1)
    work()
    assert len(postbox.mails) == 1


def test_who_wants_no_mail_gets_none(company: Tenant, admin: Person, postbox: Postbox) -> None:
    with as_company(company.id):
        db.session.add(
            MailPreference(
                user_id=admin.id, type=NotificationType.DATA_MISMATCH, wish=MailWish.NEVER
            )
        )
        db.session.commit()
    find(company, make_appointment(company))
    wait(4)
    work()
    assert postbox.mails == []
    assert sendings(company) == []
    assert len(items(company, user_id=admin.id)) == 1


def test_without_a_mail_server_nothing_waits_for_one(company: Tenant, admin: Person) -> None:
    find(company, make_appointment(company))
    wait(4)
    work()
    assert [each.status for each in sendings(company)] == [SendingStatus.UNSENDABLE]
    assert items(company, user_id=admin.id)[0].pace is None


def test_news_while_a_letter_is_leaving_gets_a_letter_of_its_own(
    company: Tenant, admin: Person, postbox: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    find(company, make_appointment(company))
    wait(4)
    send, came = job.send_mail, []

    def send_while_something_happens(*args: Any, **kwargs: Any) -> None:
        if not came:
            came.append(True)
            _find_in_another_session(company)
        send(*args, **kwargs)

    monkeypatch.setattr(job, "send_mail", send_while_something_happens)
    work()
    assert len(postbox.mails) == 1
    wait(4)
    work()
    assert len(postbox.mails) == 2


def _find_in_another_session(company: Tenant) -> None:
    """What another process commits meanwhile; the job has no transaction open."""
    assert not db.session().in_transaction()
    appointment = make_appointment(company)
    find(company, appointment)


def test_a_worker_that_died_with_a_letter_is_taken_over(
    company: Tenant, admin: Person, postbox: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    find(company, make_appointment(company))
    wait(4)

    def die(*_args: Any, **_kwargs: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(job, "send_mail", die)
        with pytest.raises(KeyboardInterrupt):
            work()
    db.session.rollback()
    assert sendings(company)[0].status is SendingStatus.IN_FLIGHT
    wait(LEASE.total_seconds() + 1)
    work()
    assert len(postbox.mails) == 1


def test_a_test_message_arrives(company: Tenant, admin: Person, postbox: Postbox) -> None:
    with as_company(company.id):
        put_out_test(db.session(), user_id=admin.id, channel_id=None, now=clock.now())
        db.session.commit()
    work()
    assert postbox.mails[0]["Subject"] == "Test message from Lockstep"


def test_the_postbox_is_a_real_server(postbox: Postbox) -> None:
    host, port = postbox.url.removeprefix("smtp-plain://").split(":")
    with smtplib.SMTP(host, int(port), timeout=5) as smtp:
        assert smtp.noop()[0] == 250
