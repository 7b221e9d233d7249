"""Who gets through Cal.com's door, what is written down of those who don't, and what becomes of a
delivery whose doubt can't be settled at once."""

from datetime import timedelta
from typing import Any

import pytest
from flask import current_app
from flask.testing import FlaskClient
from sqlalchemy import select

from tests.desk import Desk, in_days
from tests.factories import make_person
from tests.sync.test_receive import body_of, deliveries, post
from tests.sync.test_triggers import booking, offset, seconds
from webapp import clock
from webapp.extensions import db
from webapp.jobs.haste import Haste
from webapp.models.appointment import AppointmentStatus
from webapp.models.audit import AuditEntry
from webapp.models.company import Company, Secret
from webapp.models.delivery import Delivery, request_run
from webapp.models.tenancy import as_company
from webapp.models.user import Role
from webapp.sync.onboarding import change_connection, connect_company

PRIVATE: dict[str, Any] = {"allow_private_networks": True}


def set_secrets(desk: Desk, current: str | None, previous: str | None) -> None:
    with as_company(desk.company.id):
        company = db.session.get_one(Company, desk.company.id)
        vault = current_app.extensions["vault"]
        company.set_secret(Secret.WEBHOOK_SECRET, current, vault)
        company.set_secret(Secret.WEBHOOK_SECRET_PREVIOUS, previous, vault)
        db.session.commit()


def audited(desk: Desk) -> list[str]:
    with as_company(desk.company.id):
        return list(db.session.scalars(select(AuditEntry.action).order_by(AuditEntry.id)))


def test_two_secrets_open_the_door_during_a_rotation_and_a_withdrawn_one_no_longer(
    desk: Desk, client: FlaskClient
) -> None:
    old, new = desk.company.webhook_secret, "the new secret"

    def knock(uid: str, secret: str) -> int:
        return int(post(client, desk, body_of("PING", uid=uid), secret=secret).status_code)

    assert knock("before", old) == 200
    assert knock("early", new) == 401
    set_secrets(desk, new, old)
    assert [knock("one", old), knock("two", new)] == [200, 200]
    set_secrets(desk, new, None)
    assert [knock("three", old), knock("four", new)] == [401, 200]
    set_secrets(desk, None, None)
    assert knock("five", new) == 401
    assert len(deliveries(desk)) == 4


def test_a_flood_of_bad_signatures_is_audited_once_in_a_while(
    desk: Desk, client: FlaskClient
) -> None:
    for number in range(12):
        assert post(client, desk, body_of("PING", n=number), secret="x").status_code == 401
    assert audited(desk) == ["delivery.bad_signature"]

    clock.advance(timedelta(minutes=11))
    post(client, desk, body_of("PING"), secret="x")

    assert audited(desk) == ["delivery.bad_signature"] * 2


def test_what_is_signed_but_says_it_is_no_json_is_415(desk: Desk, client: FlaskClient) -> None:
    raw = body_of("BOOKING_CREATED", uid="x")
    for wrong in ("text/plain", "application/x-www-form-urlencoded", "application/jsonp"):
        answer = post(client, desk, raw, **{"Content-Type": wrong})
        assert (answer.status_code, answer.mimetype) == (415, "application/json")
    assert deliveries(desk) == []
    assert audited(desk) == ["delivery.not_json"]

    good = "application/json; charset=utf-8"
    assert post(client, desk, raw, **{"Content-Type": good}).status_code == 200


def test_a_secret_that_cannot_be_opened_opens_nothing(desk: Desk, client: FlaskClient) -> None:
    with as_company(desk.company.id):
        company = db.session.get_one(Company, desk.company.id)
        company.calcom_webhook_secret = "v1.gone.AAAA"
        db.session.commit()

    assert post(client, desk, body_of("PING")).status_code == 401


def test_while_calcom_cannot_be_asked_a_doubtful_delivery_waits_and_then_takes_effect(
    desk: Desk, client: FlaskClient
) -> None:
    made = desk.cal.book(eventTypeId=desk.company.event_type_id, start=in_days(3).isoformat())
    moved = desk.cal.change(made["uid"], "reschedule", start=in_days(4).isoformat())
    fields = {"uid": moved["uid"], "rescheduleUid": made["uid"]}
    desk.cal.fail({"kind": "status", "status": 503, "operation": "bookings.get", "times": 2})

    post(
        client, desk, body_of("BOOKING_RESCHEDULED", **booking(desk, "ACCEPTED", seconds, **fields))
    )
    desk.work_through(10, step=5)
    assert deliveries(desk) == [("BOOKING_RESCHEDULED", "received", "read_again")]
    desk.work_through(200, step=20)

    assert deliveries(desk) == [("BOOKING_RESCHEDULED", "applied", None)]
    [appointment_id] = desk.appointments()
    assert desk.appointment(appointment_id).starts_at == in_days(4)


def test_a_delivery_that_cannot_be_settled_ends_as_failed_and_is_told_until_none_is(
    desk: Desk, client: FlaskClient
) -> None:
    """It may be a booking on Cal.com of which nothing else here shows anything."""
    admin = make_person(desk.company, Role.ADMIN)
    desk.cal.fail({"kind": "status", "status": 503, "operation": "bookings.get"})
    unknown = booking(desk, "CANCELLED", offset)

    post(client, desk, body_of("BOOKING_CANCELLED", **unknown))
    desk.work_through(6000, step=300)

    assert deliveries(desk) == [("BOOKING_CANCELLED", "failed", "calcom_not_readable")]
    assert desk.inbox(admin.id) == [("delivery_failed", True)]

    desk.cal.heal()
    with as_company(desk.company.id):
        row = db.session.scalars(select(Delivery)).one()
        assert request_run(db.session(), row.id, now=clock.now())
        db.session.commit()
    desk.work()

    assert deliveries(desk) == [("BOOKING_CANCELLED", "ignored", "unknown_booking")]
    assert desk.inbox(admin.id) == [("delivery_failed", False)]


def test_a_confirmation_without_our_key_is_not_imported_beside_our_own_create(
    desk: Desk, client: FlaskClient
) -> None:
    """Stored over there, the answer lost, the first webhook too: only a look tells whose it is."""
    desk.cal.fail(
        {"kind": "reset_after", "operation": "bookings.create", "times": 1},
        {"kind": "status", "status": 503, "operation": "bookings.list", "times": 2},
    )
    appointment_id = desk.book(in_days(2))
    desk.work()
    [theirs] = desk.cal.bookings()
    start = in_days(2)
    confirmed = booking(
        desk,
        "ACCEPTED",
        seconds,
        uid=theirs["uid"],
        startTime=seconds(start),
        endTime=seconds(start + timedelta(minutes=30)),
        metadata={"videoCallUrl": "https://x"},
    )

    post(client, desk, body_of("BOOKING_CREATED", **confirmed))
    desk.work_through(60, step=5)

    assert desk.appointments() == [appointment_id]
    row = desk.appointment(appointment_id)
    assert (row.calcom_v2_booking_id, row.status) == (theirs["uid"], AppointmentStatus.CONFIRMED)
    assert desk.cal.mails() == ["created"]


def test_of_a_flood_only_so_many_are_handed_over_at_once() -> None:
    haste = Haste(20)
    allowed = sum(haste.allows() for _ in range(1000))
    assert 20 <= allowed < 100


@pytest.mark.parametrize("is_by_hand", [True, False])
def test_the_former_secret_opens_the_door_until_calcom_has_the_new_one(
    desk: Desk, client: FlaskClient, is_by_hand: bool
) -> None:
    """Whoever sets a new one tells Cal.com only afterwards, and Cal.com never sends again."""
    admin = make_person(desk.company, Role.ADMIN)

    def give(secret: str) -> None:
        wanted = {"base_url": f"{desk.url}/v2", "webhook_secret": secret, "now": clock.now()}
        vault = current_app.extensions["vault"]
        with as_company(desk.company.id):
            if is_by_hand:
                change_connection(
                    db.session(), vault, api_key=None, user_id=admin.id, **PRIVATE, **wanted
                )
            else:
                connect_company(db.session(), vault, api_key="cal_key", **PRIVATE, **wanted)
            db.session.commit()

    def knock(secret: str) -> int:
        return int(post(client, desk, body_of("PING", at=secret), secret=secret).status_code)

    former = desk.company.webhook_secret
    give("second")
    assert [knock(former), knock("second")] == [200, 200]
    give("second")
    assert knock(former) == 200, "the same once more changes nothing"
    give("third")
    assert [knock(former), knock("second"), knock("third")] == [401, 200, 200]
    assert audited(desk).count("webhook.secret_set") == 2


def test_a_late_delivery_that_is_read_at_once_waits_no_longer_than_a_fresh_one(
    desk: Desk, client: FlaskClient
) -> None:
    """After a stop of the workers all that came meanwhile is read the moment it is worked off."""
    desk.cal.fail({"kind": "status", "status": 503, "operation": "bookings.get", "times": 2})
    post(client, desk, body_of("BOOKING_CANCELLED", **booking(desk, "CANCELLED", offset)))
    clock.advance(timedelta(seconds=20))

    desk.work()
    pauses = []
    for _ in range(2):
        with as_company(desk.company.id):
            row = db.session.scalars(select(Delivery)).one()
            pauses.append((row.due_at - clock.now(), row.attempt_count))
        clock.advance(timedelta(minutes=3))
        desk.work()

    assert [(round(pause.total_seconds()), count) for pause, count in pauses] == [(30, 1), (120, 2)]
    assert deliveries(desk) == [("BOOKING_CANCELLED", "ignored", "unknown_booking")]
