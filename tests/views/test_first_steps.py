"""The first-run guide: each step's state comes from facts, so it can be left and taken up again."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, text

from tests.desk import Cal, in_days
from tests.factories import PASSWORD, Person
from tests.views.conftest import Visitor
from tests.views.markup import find, said_in
from tests.views.test_connection_settings import served
from webapp import clock
from webapp.extensions import db
from webapp.jobs import schedule
from webapp.jobs.inline import work_off_due
from webapp.models.crossing import next_company_id
from webapp.models.tenancy import as_company
from webapp.models.user import Role
from webapp.sandbox.server import RunningSandbox
from webapp.sync.onboarding import create_company, create_user

__all__ = ["served"]

PAGE = "/first-steps"
Work = Callable[[], None]


@pytest.fixture
def cal(sandbox: RunningSandbox) -> Cal:
    """An account with two event types and three bookings, from before there was a desk."""
    remote = Cal(sandbox.url, "neu@cal.test")
    account = remote.put("accounts", {"email": "neu@cal.test", "key": "cal_neu"})
    for title in ("Erstgespräch", "Massage"):
        made = remote.put(
            "event-types",
            {
                "account": account["id"],
                "title": title,
                "slug": title.lower().replace("ä", "ae"),
                "lengthInMinutes": 30,
            },
        )
        for hour in (9, 11):
            remote.book(
                eventTypeId=made["id"],
                start=in_days(3, hour if title == "Massage" else hour + 5).isoformat(),
                attendee={
                    "name": "Anna Alt",
                    "email": "anna@example.org",
                    "timeZone": "Europe/Berlin",
                },
            )
    return remote


@pytest.fixture
def owner(app: Flask) -> Person:
    """The admin of a company as the operator's command makes it: empty."""
    with app.app_context():
        company_id = next_company_id(db.session())
        db.session.rollback()
        with as_company(company_id):
            create_company(
                db.session(),
                slug="neu",
                name="Neu GmbH",
                time_zone="Europe/Berlin",
                locale="en",
                now=clock.now(),
            )
            user = create_user(
                db.session(),
                email="owner@neu.test",
                name="Olga Owner",
                role=Role.ADMIN,
                locale="en",
                password=PASSWORD,
                now=clock.now(),
            )
            db.session.commit()
            return Person(user.id, company_id, user.email, user.role)


@pytest.fixture
def at_owner(app: Flask, owner: Person) -> Visitor:
    visitor = Visitor(app)
    visitor.log_in(owner)
    return visitor


@pytest.fixture
def work(app: Flask) -> Work:
    def act() -> None:
        with app.app_context():
            work_off_due()

    return act


def current(visitor: Visitor) -> list[str]:
    """The headings of the steps, with what stands beside them."""
    page = visitor.page(PAGE)
    return [said_in(each.text) for each in find(page, "div", class_="guide-head")]


def connect(visitor: Visitor, cal: Cal, key: str = "cal_neu") -> None:
    address = str(cal._http.base_url).rstrip("/") + "/v2"
    form = {"base_url": address, "api_key": key, "current": PASSWORD, "back": "guide"}
    answer = visitor.post("/settings/connection", form)
    assert (answer.status_code, answer.location) == (303, PAGE)


def make_services(visitor: Visitor) -> Any:
    ids = [
        each.attributes["value"]
        for each in find(visitor.page(PAGE), "input", name="event_type")
        if "checked" in each.attributes
    ]
    data = {"event_type": ids, "back": "guide"}
    return visitor.client.post("/services/event-types", data=data)


def test_an_empty_company_is_led_from_a_key_to_its_first_appointments(
    at_owner: Visitor, cal: Cal, served: str, work: Work, owner_engine: Engine
) -> None:
    assert PAGE in at_owner.page("/")
    assert "Next" in current(at_owner)[0]

    connect(at_owner, cal)
    assert "Done" in current(at_owner)[0]
    assert "Next" in current(at_owner)[1]

    assert make_services(at_owner).location == PAGE
    assert "Next" in current(at_owner)[2]

    at_owner.post("/settings/webhook/registrations", {"back": "guide"})
    assert "Next" in current(at_owner)[3], "what waits for Cal.com's call holds nothing up"
    assert "Registered, nothing came yet" in current(at_owner)[2]
    [webhook] = cal.state(only="webhooks")["webhooks"]
    cal.put(f"webhooks/{webhook['id']}/ping", {})
    assert "Done" in current(at_owner)[2]

    at_owner.post(f"{PAGE}/imports")
    running = at_owner.get(f"{PAGE}/progress?poll=", htmx=True).text
    assert "hx-trigger" in running
    assert find(running, "progress")
    work()

    done = at_owner.get(f"{PAGE}/progress?poll=", htmx=True).text
    assert "hx-trigger" not in done
    assert "4 bookings were taken over." in said_in(done)
    with owner_engine.connect() as engine:
        rows = engine.execute(
            text(
                "SELECT calcom_sync_status, requires_manual_review, created_by_origin"
                " FROM appointments"
            )
        ).all()
        told = engine.execute(text("SELECT count(*) FROM notifications")).scalar_one()
    assert {tuple(row) for row in rows} == {("synced", False, "calcom")}
    assert len(rows) == 4
    assert told == 0, "nobody is told of each"
    assert [kind for kind in cal.mails() if kind != "created"] == []
    assert PAGE not in at_owner.page("/")


def test_the_steps_state_comes_from_facts(
    at_owner: Visitor, cal: Cal, served: str, work: Work, owner_engine: Engine
) -> None:
    """What is undone elsewhere is undone here; no step number remembers it."""
    connect(at_owner, cal)
    make_services(at_owner)
    with owner_engine.begin() as engine:
        engine.execute(text("DELETE FROM services"))
    assert "Next" in current(at_owner)[1]
    connect(at_owner, cal, key="cal_wrong")
    assert "Next" in current(at_owner)[0]
    assert "refused your company" in at_owner.page(PAGE)


def test_an_import_twice_takes_nothing_over_twice(
    at_owner: Visitor, cal: Cal, served: str, work: Work, owner_engine: Engine
) -> None:
    connect(at_owner, cal)
    make_services(at_owner)
    for _ in range(2):
        at_owner.post(f"{PAGE}/imports")
        at_owner.post(f"{PAGE}/imports")
        work()
    with owner_engine.connect() as engine:
        assert engine.execute(text("SELECT count(*) FROM appointments")).scalar_one() == 4


def test_an_import_that_could_not_ask_says_why_and_can_be_begun_again(
    at_owner: Visitor, cal: Cal, served: str, work: Work
) -> None:
    connect(at_owner, cal)
    make_services(at_owner)
    at_owner.post("/settings/webhook/registrations", {"back": "guide"})
    cal.fail({"kind": "status", "status": 401})
    at_owner.post(f"{PAGE}/imports")
    work()
    assert "refused your company" in at_owner.page(PAGE)
    cal.heal()
    at_owner.post("/settings/connection/checks", {"back": "guide"})
    assert "Take over the bookings" in at_owner.page(PAGE)
    at_owner.post(f"{PAGE}/imports")
    work()
    assert "4 bookings were taken over." in said_in(at_owner.page(PAGE))


def test_what_was_there_before_us_makes_no_webhook_look_silent(
    at_owner: Visitor, cal: Cal, served: str, work: Work, owner_engine: Engine
) -> None:
    connect(at_owner, cal)
    make_services(at_owner)
    at_owner.post(f"{PAGE}/imports")
    work()
    with owner_engine.connect() as engine:
        assert engine.execute(text("SELECT count(*) FROM remote_changes")).scalar_one() == 0


def test_the_guide_is_for_admins(app: Flask, at_manager: Visitor) -> None:
    assert PAGE not in at_manager.page("/")
    assert at_manager.get(PAGE).status_code == 403
    assert at_manager.post(f"{PAGE}/imports").status_code == 403


def tick(app: Flask, name: str) -> None:
    """The scheduler's turn."""
    with app.app_context():
        schedule.tick(name)


def count(owner_engine: Engine, rows: str) -> int:
    with owner_engine.connect() as engine:
        return int(engine.execute(text(f"SELECT count(*) FROM {rows}")).scalar_one())


def test_the_clock_does_not_take_the_import_away_between_two_steps(
    app: Flask, at_owner: Visitor, cal: Cal, served: str, work: Work, owner_engine: Engine
) -> None:
    connect(at_owner, cal)
    make_services(at_owner)
    clock.advance(timedelta(minutes=10))
    for name in ("verification", "delta", "sweep"):
        tick(app, name)
        work()
    assert count(owner_engine, "appointments") == 0
    at_owner.post("/settings/webhook/registrations", {"back": "guide"})
    assert "Take over the bookings" in at_owner.page(PAGE)


def test_what_a_run_found_before_is_taken_over_by_the_import(
    app: Flask, at_owner: Visitor, cal: Cal, work: Work, owner_engine: Engine
) -> None:
    connect(at_owner, cal)
    make_services(at_owner)
    clock.advance(timedelta(minutes=10))
    at_owner.post("/verifications")
    work()
    assert count(owner_engine, "discrepancies WHERE resolved_at IS NULL") == 4
    assert "Your desk is not set up yet" in at_owner.page("/")
    at_owner.post(f"{PAGE}/imports")
    work()
    assert count(owner_engine, "discrepancies WHERE resolved_at IS NULL") == 0
    assert count(owner_engine, "appointments WHERE calcom_sync_status = 'synced'") == 4
    assert "4 bookings were taken over." in said_in(at_owner.page(PAGE))


def test_who_has_begun_otherwise_can_still_take_over_what_is_there(
    at_owner: Visitor, cal: Cal, owner_engine: Engine
) -> None:
    connect(at_owner, cal)
    make_services(at_owner)
    with owner_engine.connect() as engine:
        service_id = engine.execute(text("SELECT min(id) FROM services")).scalar_one()
    day = {"day": f"{in_days(9):%Y-%m-%d}", "time": "10:00", "service": str(service_id)}
    at_owner.post("/appointments", {"customer": "new", "name": "B", "email": "b@e.test", **day})
    page = said_in(at_owner.page(PAGE))
    assert "There are appointments here already." in page
    assert "Take over the bookings" in page
