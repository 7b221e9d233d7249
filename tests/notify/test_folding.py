"""Many troubles at once: one item and one message, whose number and links stay right, and a later
wave is told again."""

import threading
import time
from email.message import EmailMessage
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text

from tests.factories import Person, Tenant, make_appointment
from tests.notify.conftest import Postbox, sendings, work
from tests.notify.test_sendings import MISMATCH, find, items, settle, wait
from webapp import clock
from webapp.extensions import db
from webapp.jobs import sendings as job
from webapp.models.notification import MANY, Notification, NotificationType
from webapp.models.sending import SendingStatus
from webapp.models.tenancy import as_company
from webapp.notify import inbox
from webapp.notify.inbox import tell
from webapp.notify.wording import title_of
from webapp.sync.findings import Raised, raise_findings
from webapp.sync.intents import lock_appointment
from webapp.views.notifications import address_of

pytestmark = pytest.mark.usefixtures("engine")

ADOPTED = NotificationType.BOOKING_ADOPTED


def said(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def find_many(company: Tenant, number: int) -> list[int]:
    found = [make_appointment(company) for _ in range(number)]
    for each in found:
        find(company, each)
    return found


def send_now() -> None:
    wait(4)
    work()


def titles(person: Person, company: Tenant) -> list[str]:
    with as_company(company.id):
        query = select(Notification).filter_by(user_id=person.id, closed_at=None)
        return [title_of(each) for each in db.session.scalars(query)]


def test_a_wave_a_day_after_the_first_is_told_again(
    company: Tenant, admin: Person, postbox: Postbox
) -> None:
    find_many(company, 6)
    send_now()
    wait(24 * 3600)
    find_many(company, 30)
    send_now()
    assert len(postbox.mails) == 2
    assert "36 appointments differ" in said(postbox.mails[1])
    [item] = items(company, user_id=admin.id)
    assert item.repeat_count == 30


def test_a_fold_that_has_grown_tenfold_since_it_was_told_is_told_again(
    company: Tenant, admin: Person, postbox: Postbox
) -> None:
    find_many(company, 5)
    send_now()
    find_many(company, 44)
    send_now()
    assert len(postbox.mails) == 1, "more of the same is not news"
    find_many(company, 1)
    send_now()
    assert len(postbox.mails) == 2
    assert "50 appointments differ" in said(postbox.mails[1])


def test_singles_that_were_not_sent_yet_leave_with_the_fold_that_takes_them_in(
    company: Tenant, admin: Person, postbox: Postbox
) -> None:
    find_many(company, 6)
    send_now()
    wait(3600)
    find_many(company, 4)
    find_many(company, 1)
    send_now()
    assert len(postbox.mails) == 2
    assert "11 appointments differ" in said(postbox.mails[1])


def test_the_number_is_that_of_the_findings_that_are_open(company: Tenant, admin: Person) -> None:
    found = find_many(company, 8)
    assert titles(admin, company) == ["8 appointments differ between here and Cal.com"]
    for each in found[:-1]:
        settle(company, each)
    assert titles(admin, company) == ["1 appointment differs between here and Cal.com"]


def adopt(company: Tenant, number: int) -> None:
    for appointment in [make_appointment(company) for _ in range(number)]:
        with as_company(company.id):
            tell(
                db.session(),
                ADOPTED,
                f"appointment:{appointment}",
                now=clock.now(),
                appointment_id=appointment,
            )
            db.session.commit()


def test_many_adoptions_are_told_though_a_finding_is_settled_meanwhile(
    company: Tenant, admin: Person, postbox: Postbox, app: Flask
) -> None:
    [other] = find_many(company, 1)
    send_now()
    adopt(company, 6)
    settle(company, other)
    send_now()
    assert len(postbox.mails) == 2
    assert "(6)" in said(postbox.mails[1])
    [item] = items(company, user_id=admin.id, type=ADOPTED)
    assert (item.subject, item.closed_at) == (MANY, None)
    with app.test_request_context():
        assert address_of(item) == "/appointments?origin=calcom"


def test_a_runs_page_of_findings_is_folded_in_one_go(
    company: Tenant, admin: Person, manager: Person, postbox: Postbox
) -> None:
    found = [make_appointment(company) for _ in range(12)]
    with as_company(company.id):
        locked = [lock_appointment(db.session(), each) for each in found]
        raised = [Raised(each, MISMATCH) for each in locked if each is not None]
        assert raise_findings(db.session(), raised, now=clock.now()) == 12
        db.session.commit()
    assert [(each.subject, each.repeat_count) for each in items(company)] == [(MANY, 12)] * 2
    send_now()
    assert len(postbox.mails) == 2


def test_news_that_comes_while_an_empty_envelope_closes_is_told(
    company: Tenant, admin: Person, postbox: Postbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    [over] = find_many(company, 1)
    settle(company, over)
    close, came = job._close, []

    def close_while_something_happens(*args: Any, **kwargs: Any) -> None:
        if not came:
            came.extend(find_many(company, 1))
        close(*args, **kwargs)

    monkeypatch.setattr(job, "_close", close_while_something_happens)
    send_now()
    assert [each.status for each in sendings(company)] == [
        SendingStatus.EMPTY,
        SendingStatus.WAITING,
    ]
    send_now()
    assert len(postbox.mails) == 1


def test_who_tells_and_who_closes_an_envelope_do_not_wait_for_each_other(
    app: Flask,
    company: Tenant,
    admin: Person,
    postbox: Postbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A finder holds the item that has just left and asks for its envelope."""
    broken(company)
    put_out, send = inbox.put_out, job.send_mail
    holds, is_over = threading.Event(), threading.Event()

    def put_out_while_somebody_waits(*args: Any, **kwargs: Any) -> None:
        holds.set()
        wait_for_a_waiter()
        put_out(*args, **kwargs)

    def tell_meanwhile() -> None:
        with app.app_context():
            broken(company)
            is_over.set()

    def send_while_somebody_tells(*args: Any, **kwargs: Any) -> None:
        monkeypatch.setattr(inbox, "put_out", put_out_while_somebody_waits)
        teller.start()
        assert holds.wait(10)
        send(*args, **kwargs)

    teller = threading.Thread(target=tell_meanwhile)
    monkeypatch.setattr(job, "send_mail", send_while_somebody_tells)
    send_now()
    teller.join(10)
    assert is_over.is_set()
    assert sendings(company)[0].status is SendingStatus.SENT
    assert len(postbox.mails) == 1


def broken(company: Tenant) -> None:
    with as_company(company.id):
        tell(db.session(), NotificationType.CONNECTION_BROKEN, "connection", now=clock.now())
        db.session.commit()


def wait_for_a_waiter() -> None:
    """Until another session waits for a lock of ours, ten seconds at most."""
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    for _ in range(500):
        if db.session.scalar(waiting):
            return
        time.sleep(0.02)
