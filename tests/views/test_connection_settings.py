"""Settings of an admin: company, connection with its test, webhook and its secret, telephone."""

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, text
from werkzeug.serving import make_server

from tests.desk import Desk
from tests.factories import PASSWORD, make_company, make_person
from tests.views.conftest import Visitor
from tests.views.markup import by_id, find, said_in
from webapp import clock
from webapp.extensions import db
from webapp.models.company import Company, ConnectionState, Secret
from webapp.models.tenancy import as_company
from webapp.models.user import Role
from webapp.models.vault import Vault
from webapp.sandbox.server import RunningSandbox


@pytest.fixture
def desk(app: Flask, sandbox: RunningSandbox) -> Desk:
    with app.app_context():
        return Desk(sandbox)


@pytest.fixture
def at_desk(app: Flask, desk: Desk) -> Visitor:
    with app.app_context():
        person = make_person(desk.company, Role.ADMIN)
    visitor = Visitor(app)
    visitor.log_in(person)
    return visitor


@pytest.fixture
def served(app: Flask) -> Iterator[str]:
    """The application at its public address."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    before = app.extensions["settings"]
    app.extensions["settings"] = before.model_copy(update={"public_url": url})
    yield url
    app.extensions["settings"] = before
    server.shutdown()


@pytest.fixture
def look(app: Flask, desk: Desk) -> Callable[..., Company]:
    def read(**columns: Any) -> Company:
        with app.app_context(), as_company(desk.company.id):
            row = db.session.get_one(Company, desk.company.id)
            for name, value in columns.items():
                setattr(row, name, value)
            db.session.commit()
            db.session.refresh(row)
            db.session.expunge(row)
            return row

    return read


def connection(desk: Desk, **more: str) -> dict[str, str]:
    return {
        "base_url": f"{desk.url}/v2",
        "api_key": "",
        "webhook_secret": "",
        "current": PASSWORD,
        **more,
    }


def webhooks(desk: Desk) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = desk.cal.state(only="webhooks")["webhooks"]
    return found


def secrets_of(row: Company, vault: Vault) -> list[str]:
    """What opens the webhook's door, the newer first."""
    both = (Secret.WEBHOOK_SECRET, Secret.WEBHOOK_SECRET_PREVIOUS)
    return [secret for each in both if (secret := row.secret(each, vault))]


def audited(owner_engine: Engine) -> list[tuple[str, str]]:
    with owner_engine.connect() as engine:
        rows = engine.execute(text("SELECT action, actor FROM audit_entries ORDER BY id"))
        return [tuple(row) for row in rows if row.action != "logged_in"]


def test_a_key_is_saved_sealed_and_tried_at_once(
    at_desk: Visitor, desk: Desk, look: Callable[..., Company], owner_engine: Engine
) -> None:
    look(calcom_api_key=None)
    answer = at_desk.post("/settings/connection", connection(desk, api_key="cal_sonnenschein"))
    assert answer.status_code == 303
    assert "Connected as" in at_desk.page("/settings")
    row = look()
    assert row.connection_state is ConnectionState.OK
    assert "cal_sonnenschein" not in str(row.calcom_api_key)
    assert "cal_sonnenschein" not in at_desk.page("/settings/connection")
    assert ("company.connected", "user") in audited(owner_engine)


def test_a_refused_key_is_said_in_plain_words(
    at_desk: Visitor, desk: Desk, look: Callable[..., Company]
) -> None:
    at_desk.post("/settings/connection", connection(desk, api_key="cal_wrong"))
    said = said_in(at_desk.page("/settings"))
    assert "Cal.com refused your company's API key." in said.replace("&#39;", "'")
    assert look().connection_state is ConnectionState.BROKEN


def test_the_test_tells_a_slow_cal_com_from_a_wrong_key(
    at_desk: Visitor, desk: Desk, look: Callable[..., Company]
) -> None:
    desk.cal.fail({"kind": "status", "status": 503})
    at_desk.post("/settings/connection/checks")
    assert "answered with an error of its own" in at_desk.page("/settings")
    assert look().connection_state is not ConnectionState.BROKEN
    desk.cal.heal()
    at_desk.post("/settings/connection/checks")
    assert "Connected as" in at_desk.page("/settings")


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"current": "wrong password"}, "current", "not your current password"),
        ({"base_url": ""}, "base_url", "This is needed."),
        ({"base_url": "ftp://cal.com"}, "base_url", "This address cannot be called."),
        ({"base_url": "https://a:b@cal.com"}, "base_url", "This address cannot be called."),
        ({"api_key": "cal with space"}, "api_key", "holds no spaces"),
    ],
)
def test_what_cannot_be_used_is_said_beside_its_field_and_nothing_changes(
    at_desk: Visitor,
    desk: Desk,
    look: Callable[..., Company],
    change: dict[str, str],
    field: str,
    said: str,
) -> None:
    before = look()
    form = connection(desk, **{"api_key": "cal_another", **change})
    answer = at_desk.post("/settings/connection", form)
    assert answer.status_code == 422
    told = by_id(answer.text, f"{field}-help")
    assert told is not None
    assert said in told.text
    assert find(answer.text, "input", name="base_url", value=form["base_url"])
    after = look()
    assert (after.calcom_api_key, after.calcom_base_url) == (
        before.calcom_api_key,
        before.calcom_base_url,
    )


def test_the_key_does_not_travel_to_another_address_by_itself(
    at_desk: Visitor, desk: Desk, look: Callable[..., Company]
) -> None:
    form = connection(desk, base_url="http://127.0.0.1:9/v2")
    answer = at_desk.post("/settings/connection", form)
    assert answer.status_code == 422
    assert "not sent to another address by itself" in answer.text
    assert look().calcom_base_url == f"{desk.url}/v2"


def test_another_servers_address_takes_the_event_types_from_the_services(
    app: Flask, at_desk: Visitor, desk: Desk, look: Callable[..., Company], owner_engine: Engine
) -> None:
    """There the same number is whatever it is, perhaps another company's, who must not lose it."""
    elsewhere = "http://localhost:9/v2"
    with app.app_context():
        appointment_id = desk.book()
        make_company("blau", calcom_url=elsewhere, event_type_id=desk.company.event_type_id)
    form = connection(desk, base_url=elsewhere, api_key="cal_other")
    assert at_desk.post("/settings/connection", form).status_code == 303

    assert "1 service lost its event type" in at_desk.page("/settings")
    assert look().calcom_base_url == elsewhere
    with owner_engine.connect() as engine:
        held = engine.execute(
            text("SELECT company_id, calcom_host FROM services WHERE calcom_host IS NOT NULL")
        ).all()
    assert [each.calcom_host for each in held] == ["localhost:9"]
    assert held[0].company_id != desk.company.id
    with app.app_context():
        desk.work()
        assert desk.open_findings() == [(appointment_id, "sync_failed", "NO_EVENT_TYPE")]


def test_an_address_in_a_private_network_is_refused_before_it_is_kept(
    app: Flask, at_desk: Visitor, look: Callable[..., Company], desk: Desk
) -> None:
    before = app.extensions["settings"]
    app.extensions["settings"] = before.model_copy(update={"allow_private_networks": False})
    try:
        form = connection(desk, base_url="https://10.0.0.5/v2", api_key="cal_other")
        answer = at_desk.post("/settings/connection", form)
    finally:
        app.extensions["settings"] = before
    assert answer.status_code == 422
    assert "lies in a private network" in answer.text
    assert look().calcom_base_url == f"{desk.url}/v2"


def test_the_same_servers_address_leaves_the_services_alone(
    at_desk: Visitor, desk: Desk, owner_engine: Engine
) -> None:
    at_desk.post("/settings/connection", connection(desk, api_key="cal_sonnenschein"))
    assert "lost its event type" not in at_desk.page("/settings")
    with owner_engine.connect() as engine:
        bound = engine.execute(text("SELECT calcom_event_type_id FROM services")).scalars().all()
    assert bound == [desk.company.event_type_id]


def test_the_webhook_is_registered_with_one_click_and_proven_by_calcom_alone(
    at_desk: Visitor, desk: Desk, look: Callable[..., Company], served: str, owner_engine: Engine
) -> None:
    look(calcom_webhook_secret=None)
    at_desk.post("/settings/webhook/registrations")
    assert "a test ping came through" in at_desk.page("/settings")
    [webhook] = webhooks(desk)
    assert webhook["subscriberUrl"] == f"{served}/webhooks/calcom/{desk.company.webhook_token}"
    assert {"BOOKING_CREATED", "BOOKING_CANCELLED", "MEETING_ENDED"} <= set(webhook["triggers"])
    row = look()
    assert row.webhook_id == str(webhook["id"])
    assert row.webhook_registered_at is not None
    with owner_engine.connect() as engine:
        triggers = engine.execute(text("SELECT trigger FROM deliveries")).scalars().all()
    assert triggers == ["LOCKSTEP_PING"]
    page = at_desk.page("/settings")
    assert "Registered, nothing came yet" in page, "that we reach ourselves says nothing of Cal.com"

    desk.cal.put(f"webhooks/{webhook['id']}/ping", {})
    assert "Registered and proven" in at_desk.page("/settings")


def test_registering_again_repairs_what_somebody_changed(
    app: Flask, at_desk: Visitor, desk: Desk, served: str, owner_engine: Engine
) -> None:
    address = f"{served}/webhooks/calcom/{desk.company.webhook_token}"
    desk.cal.put(
        "webhooks",
        {
            "account": "sonnenschein@cal.test",
            "subscriberUrl": address,
            "triggers": ["BOOKING_CREATED"],
            "secret": "somebody else's",
            "active": False,
        },
    )
    at_desk.post("/settings/webhook/registrations")
    at_desk.post("/settings/webhook/registrations")
    [webhook] = webhooks(desk)
    assert webhook["active"]
    assert len(webhook["triggers"]) == 7
    with app.app_context():
        booking = desk.book()
        desk.work()
    assert booking
    with owner_engine.connect() as engine:
        received = engine.execute(text("SELECT count(*) FROM deliveries")).scalar_one()
    assert received >= 3, "two pings and Cal.com's own word of the booking, signed with our secret"


def test_where_the_address_leads_elsewhere_the_ping_says_so(at_desk: Visitor, desk: Desk) -> None:
    """Nothing listens at the tests' public address."""
    at_desk.post("/settings/webhook/registrations")
    said = said_in(at_desk.page("/settings"))
    assert "a test ping to it failed" in said
    assert "Registered, nothing came yet" in said


def test_a_secret_is_replaced_without_a_gap(
    app: Flask, at_desk: Visitor, desk: Desk, look: Callable[..., Company], served: str
) -> None:
    at_desk.post("/settings/webhook/registrations")
    old = desk.company.webhook_secret
    assert at_desk.post("/settings/webhook/rotations", {"current": "no"}).status_code == 422
    at_desk.post("/settings/webhook/rotations", {"current": PASSWORD})
    row = look()
    vault = app.extensions["vault"]
    fresh = row.secret(Secret.WEBHOOK_SECRET, vault)
    assert fresh != old
    assert secrets_of(row, vault) == [fresh, old], "both open the door meanwhile"
    assert "a test ping came through" in at_desk.page("/settings")
    again = at_desk.post("/settings/webhook/rotations", {"current": PASSWORD})
    assert again.status_code == 303
    assert look().secret(Secret.WEBHOOK_SECRET, vault) == fresh
    refused = at_desk.post("/settings/webhook/retirements", {"current": "no"})
    assert (refused.status_code, secrets_of(look(), vault)) == (422, [fresh, old])
    at_desk.post("/settings/webhook/retirements", {"current": PASSWORD})
    assert secrets_of(look(), vault) == [fresh]


def test_a_rotation_that_cal_com_did_not_take_loses_nothing(
    app: Flask, at_desk: Visitor, desk: Desk, look: Callable[..., Company], served: str
) -> None:
    at_desk.post("/settings/webhook/registrations")
    desk.cal.fail({"kind": "status", "status": 503, "operation": "webhooks"})
    at_desk.post("/settings/webhook/rotations", {"current": PASSWORD})
    assert "could not be registered" in at_desk.page("/settings")
    assert desk.company.webhook_secret in secrets_of(look(), app.extensions["vault"])
    desk.cal.heal()
    at_desk.post("/settings/webhook/registrations")
    assert "a test ping came through" in at_desk.page("/settings")


def test_the_company_says_its_name_zone_and_language(
    at_desk: Visitor, look: Callable[..., Company], owner_engine: Engine
) -> None:
    form = {"name": "Sonne & Söhne", "time_zone": "Europe/Vienna", "language": "de"}
    assert at_desk.post("/settings/company", form).status_code == 303
    row = look()
    assert (row.name, row.time_zone, row.locale) == ("Sonne & Söhne", "Europe/Vienna", "de")
    assert ("company.described", "user") in audited(owner_engine)
    for change, said in (
        ({"name": ""}, "This is needed."),
        ({"time_zone": "Mars"}, "This is not a time zone."),
        ({"language": "fr"}, "Choose one of these."),
    ):
        answer = at_desk.post("/settings/company", {**form, **change})
        assert answer.status_code == 422
        assert said in answer.text


def test_the_telephones_key_and_policy_are_set(
    app: Flask, at_desk: Visitor, look: Callable[..., Company], owner_engine: Engine
) -> None:
    page = at_desk.page("/settings/phone")
    assert "checked" in find(page, "input", name="unchecked", value="yes")[0].attributes
    form = {"retell_key": "key_fresh", "unchecked": "no", "current": PASSWORD}
    assert at_desk.post("/settings/phone", {**form, "current": ""}).status_code == 422
    assert look().takes_calls_unchecked
    assert at_desk.post("/settings/phone", form).status_code == 303
    row = look()
    assert not row.takes_calls_unchecked
    assert row.secret(Secret.RETELL_KEY, app.extensions["vault"]) == "key_fresh"
    at_desk.post("/settings/phone", {**form, "retell_key": ""})
    assert look().secret(Secret.RETELL_KEY, app.extensions["vault"]) == "key_fresh"
    assert ("company.phone_changed", "user") in audited(owner_engine)


def test_a_test_that_went_well_says_when(
    at_desk: Visitor, desk: Desk, owner_engine: Engine
) -> None:
    at_desk.post("/settings/connection/checks")
    clock.advance(timedelta(minutes=20))
    at_desk.post("/settings/connection/checks")
    with owner_engine.connect() as connection:
        query = text("SELECT connection_checked_at FROM companies WHERE id = :id")
        at = connection.execute(query, {"id": desk.company.id}).scalar_one()
    assert clock.now() - at < timedelta(minutes=1)
