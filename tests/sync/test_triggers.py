"""Every row of Cal.com's trigger table, as a body in exactly the documented format, signed and
posted over HTTP to a server in this process: its effect, or why it has none (calcom/API.md §5)."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from tests.desk import Desk, in_days
from tests.factories import Tenant, make_appointment, make_company, make_customer
from webapp import clock
from webapp.calcom.signatures import sign
from webapp.extensions import db
from webapp.models.appointment import AppointmentStatus, BookingAlias
from webapp.models.audit import AuditEntry
from webapp.models.company import Company
from webapp.models.customer import Customer
from webapp.models.delivery import Delivery
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import as_company
from webapp.sync.customers import find_or_make_customer

START = in_days(3)
UID, NEW_UID, FOREIGN_UID = "uidA" * 5 + "aa", "uidB" * 5 + "bb", "uidC" * 5 + "cc"


@pytest.fixture(autouse=True)
def fresh_start() -> None:
    """The day that tests speak of, seen from the test's clock."""
    global START
    START = in_days(3)


@pytest.fixture
def told(desk: Desk, deaf_door: str) -> "Cal":
    return Cal(desk, deaf_door)


class Cal:
    """Cal.com's side of the door: bodies as it writes them, signed as it signs them."""

    def __init__(self, desk: Desk, address: str) -> None:
        self.desk, self.address = desk, address
        self.sent_at = datetime.now(UTC)

    def post(self, body: dict[str, Any], *, secret: str | None = None) -> httpx.Response:
        raw = json.dumps(body).encode()
        signature = sign(raw, secret or self.desk.company.webhook_secret)
        headers = {"Content-Type": "application/json", "X-Cal-Signature-256": signature}
        answer = httpx.post(self.address, content=raw, headers=headers)
        self.sent_at += timedelta(seconds=1)
        return answer

    def say(self, trigger: str, *, seconds: float = 0, **payload: Any) -> tuple[str, str | None]:
        """Post, work it off (and `seconds` on), and return the delivery's outcome."""
        created_at = milliseconds(self.sent_at)
        body = {"triggerEvent": trigger, "createdAt": created_at, "payload": payload}
        assert self.post(body).status_code == 200
        return self.outcome(seconds)

    def say_flat(self, trigger: str, **fields: Any) -> tuple[str, str | None]:
        assert self.post({"triggerEvent": trigger, **fields}).status_code == 200
        return self.outcome()

    def outcome(self, seconds: float = 0) -> tuple[str, str | None]:
        self.desk.work_through(seconds)
        with as_company(self.desk.company.id):
            row = db.session.scalars(select(Delivery).order_by(Delivery.id.desc()).limit(1)).one()
            return row.status.value, row.reason


def seconds(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def offset(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S+00:00")


def milliseconds(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def person(email: str = "jo@example.org", name: str = "Jo Visitor") -> dict[str, Any]:
    zone = {"timeZone": "Europe/Berlin", "language": {"locale": "de"}}
    return {"email": email, "name": name, **zone}


def booking(
    desk: Desk, status: str, spell: Callable[[datetime], str], **fields: Any
) -> dict[str, Any]:
    """What most payloads share; `metadata` only where a test gives one."""
    return {
        "type": "consultation",
        "title": "Consultation between Dr. Sommer and Jo Visitor",
        "startTime": spell(START),
        "endTime": spell(START + timedelta(minutes=30)),
        "length": 30,
        "organizer": {"id": 7, "name": "Dr. Sommer", "email": "s@example.org"},
        "attendees": [person()],
        "responses": {"name": {"label": "name", "value": "Jo Visitor", "isHidden": False}},
        "location": "Main Street 1",
        "cancellationReason": None,
        "iCalUID": f"{UID}@Cal.com",
        "uid": UID,
        "bookingId": 4711,
        "eventTypeId": desk.company.event_type_id,
        "status": status,
        **fields,
    }


def book_over_there(told: Cal) -> int:
    """A booking that Cal.com told us of; returns its appointment."""
    desk = told.desk
    desk.cal.book(
        silent=True,
        uid=UID,
        eventTypeId=desk.company.event_type_id,
        start=START.isoformat(),
        attendee={"name": "Jo Visitor", "email": "jo@example.org", "timeZone": "Europe/Berlin"},
    )
    created = booking(desk, "ACCEPTED", seconds, metadata={})
    assert told.say("BOOKING_CREATED", **created) == ("applied", None)
    [appointment_id] = desk.appointments()
    return appointment_id


def test_created_makes_an_appointment_with_its_customer_and_guests(told: Cal, desk: Desk) -> None:
    people = [person("JO@Example.org"), person("Guest@example.org", "G"), person("jo@example.org")]
    created = booking(desk, "ACCEPTED", seconds, attendees=people, metadata={})

    assert told.say("BOOKING_CREATED", **created) == ("applied", None)

    [appointment_id] = desk.appointments()
    row = desk.appointment(appointment_id)
    assert (row.status, row.starts_at) == (AppointmentStatus.CONFIRMED, START)
    assert row.calcom_sync_status is SyncState.SYNCED
    assert row.guests == ["Guest@example.org"]
    assert desk.intents(appointment_id) == []


def test_a_customer_is_found_by_email_or_phone_before_one_is_made(told: Cal, desk: Desk) -> None:
    by_email = make_customer(desk.company, "Jo@Example.ORG")
    with as_company(desk.company.id):
        phone, words = "+4930123456", {"time_zone": "UTC", "language": "de"}
        found = find_or_make_customer(
            db.session(), name="Al", email=None, phone=phone, now=clock.now(), **words
        )
        by_phone = found.id
        db.session.commit()

    for number, (customer_id, attendee) in enumerate(
        [
            (by_email, {"email": "jO@example.org"}),
            (by_phone, {"email": "", "phoneNumber": "+49 30 123456"}),
        ]
    ):
        people = [{**person(), **attendee}]
        created = booking(desk, "ACCEPTED", seconds, attendees=people, uid=f"uid{number:019}")
        assert told.say("BOOKING_CREATED", **created) == ("applied", None)
        assert desk.appointment(desk.appointments()[-1]).customer_id == customer_id


def test_an_unknown_zone_and_language_become_the_companys(told: Cal, desk: Desk) -> None:
    odd = {"timeZone": "Mars/Olympus_Mons", "language": {"locale": "<b>"}}
    people = [{**person("new@example.org"), **odd}]

    told.say("BOOKING_CREATED", **booking(desk, "ACCEPTED", seconds, attendees=people))

    with as_company(desk.company.id):
        query = select(Customer).where(Customer.email_folded == "new@example.org")
        customer = db.session.scalars(query).one()
        assert (customer.time_zone, customer.language) == ("Europe/Berlin", "en")


def test_requested_is_pending_and_created_confirms_it_without_our_metadata(
    told: Cal, desk: Desk
) -> None:
    requested = booking(desk, "PENDING", seconds, metadata={}, oneTimePassword="4711")
    assert told.say("BOOKING_REQUESTED", **requested) == ("applied", None)
    [appointment_id] = desk.appointments()
    assert desk.appointment(appointment_id).status is AppointmentStatus.PENDING

    confirmed = booking(desk, "ACCEPTED", seconds, metadata={"videoCallUrl": "https://x"})
    assert told.say("BOOKING_CREATED", **confirmed) == ("applied", None)

    assert desk.appointments() == [appointment_id]
    assert desk.appointment(appointment_id).status is AppointmentStatus.CONFIRMED


def test_rescheduled_moves_to_the_new_uid(told: Cal, desk: Desk) -> None:
    appointment_id = book_over_there(told)
    moved = booking(
        desk,
        "ACCEPTED",
        seconds,
        uid=NEW_UID,
        bookingId=4712,
        rescheduleId=4711,
        rescheduleUid=UID,
        rescheduleStartTime=seconds(START),
        rescheduleEndTime=seconds(START + timedelta(minutes=30)),
        startTime=seconds(START + timedelta(days=1)),
        endTime=seconds(START + timedelta(days=1, minutes=30)),
        metadata={},
    )

    assert told.say("BOOKING_RESCHEDULED", **moved) == ("applied", None)

    row = desk.appointment(appointment_id)
    assert (row.calcom_v2_booking_id, row.starts_at) == (NEW_UID, START + timedelta(days=1))
    with as_company(desk.company.id):
        assert set(db.session.scalars(select(BookingAlias.uid))) == {UID, NEW_UID}


def test_requested_with_an_old_uid_is_a_reschedule_that_awaits_the_host(
    told: Cal, desk: Desk
) -> None:
    appointment_id = book_over_there(told)
    moved = booking(desk, "PENDING", seconds, uid=NEW_UID, rescheduleUid=UID, metadata={})

    assert told.say("BOOKING_REQUESTED", **moved) == ("applied", None)

    row = desk.appointment(appointment_id)
    assert (row.calcom_v2_booking_id, row.status) == (NEW_UID, AppointmentStatus.PENDING)


@pytest.mark.parametrize("request_reschedule", [False, True])
def test_cancelled_cancels_by_uid_alone(told: Cal, desk: Desk, request_reschedule: bool) -> None:
    appointment_id = book_over_there(told)
    cancelled = booking(
        desk,
        "CANCELLED",
        offset,
        cancelledBy="jo@example.org",
        cancellationReason="Ill",
        requestReschedule=request_reschedule,
    )
    assert "metadata" not in cancelled

    assert told.say("BOOKING_CANCELLED", **cancelled) == ("applied", None)

    row = desk.appointment(appointment_id)
    assert (row.status, row.cancellation_reason) == (AppointmentStatus.CANCELLED, "Ill")
    assert row.calcom_sync_status is SyncState.SYNCED
    assert desk.intents(appointment_id) == []


def test_one_seats_leaving_cancels_nothing(told: Cal, desk: Desk) -> None:
    """Cal.com doesn't mark it: the second seat's booking was told under the same uid."""
    appointment_id = book_over_there(told)
    second = booking(desk, "ACCEPTED", seconds, attendees=[person("ann@example.org")])
    assert told.say("BOOKING_CREATED", **second) == ("ignored", "echo")
    left = booking(desk, "CANCELLED", offset, attendees=[person("ann@example.org")])

    assert told.say("BOOKING_CANCELLED", **left) == ("received", "read_again")
    assert told.outcome(6) == ("received", "read_again"), "Cal.com's row may change late"
    assert told.outcome(160) == ("ignored", "still_booked")

    assert desk.appointment(appointment_id).status is AppointmentStatus.CONFIRMED


def test_a_cancellation_that_calcom_shows_late_takes_effect(told: Cal, desk: Desk) -> None:
    """Its row changes when all who listen have answered, and one of them may be slow."""
    appointment_id = book_over_there(told)
    second = booking(desk, "ACCEPTED", seconds, attendees=[person("ann@example.org")])
    told.say("BOOKING_CREATED", **second)
    cancelled = booking(desk, "CANCELLED", offset, cancellationReason="Ill")
    assert told.say("BOOKING_CANCELLED", seconds=20, **cancelled) == ("received", "read_again")

    desk.cal.change(UID, "cancel", reason="Ill")

    assert told.outcome(20) == ("applied", None)
    row = desk.appointment(appointment_id)
    assert (row.status, row.cancellation_reason) == (AppointmentStatus.CANCELLED, "Ill")
    assert desk.open_findings() == []


def test_rejected_cancels_with_its_reason(told: Cal, desk: Desk) -> None:
    told.say("BOOKING_REQUESTED", **booking(desk, "PENDING", seconds, metadata={}))
    [appointment_id] = desk.appointments()

    rejected = booking(desk, "REJECTED", milliseconds, rejectionReason="Full")
    assert told.say("BOOKING_REJECTED", **rejected) == ("applied", None)

    row = desk.appointment(appointment_id)
    assert (row.status, row.cancellation_reason) == (AppointmentStatus.CANCELLED, "Full")


def test_no_show_marks_and_takes_back_in_the_order_of_sending(told: Cal, desk: Desk) -> None:
    appointment_id = book_over_there(told)
    clock.advance(timedelta(days=4))

    def say(absent: bool, email: str = "jo@example.org") -> tuple[str, str | None]:
        people = [{"email": email, "noShow": absent}]
        message = "x_marked_as_no_show"
        return told.say(
            "BOOKING_NO_SHOW_UPDATED", message=message, attendees=people, bookingUid=UID
        )

    assert say(absent=True) == ("applied", None)
    assert desk.appointment(appointment_id).status is AppointmentStatus.NO_SHOW
    assert say(absent=True) == ("ignored", "already_so")
    assert say(absent=False) == ("applied", None)
    assert desk.appointment(appointment_id).status is AppointmentStatus.COMPLETED
    told.sent_at -= timedelta(minutes=5)
    assert say(absent=True) == ("ignored", "older_than_known")


def flat(desk: Desk, **fields: Any) -> dict[str, Any]:
    return {
        "createdAt": milliseconds(clock.now() - timedelta(days=9)),
        "id": 4711,
        "uid": UID,
        "title": "Consultation",
        "startTime": milliseconds(START),
        "endTime": milliseconds(START + timedelta(minutes=30)),
        "status": "ACCEPTED",
        "eventTypeId": desk.company.event_type_id,
        "fromReschedule": None,
        "metadata": {},
        "attendees": [person()],
        "user": {"id": 7, "email": "s@example.org"},
        **fields,
    }


def test_a_flat_meeting_ended_completes_and_started_does_nothing(told: Cal, desk: Desk) -> None:
    appointment_id = book_over_there(told)

    clock.advance(timedelta(days=4))
    assert told.say_flat("MEETING_STARTED", **flat(desk)) == ("ignored", "no_effect")
    assert desk.appointment(appointment_id).status is AppointmentStatus.CONFIRMED
    assert told.say_flat("MEETING_ENDED", **flat(desk)) == ("applied", None)

    row = desk.appointment(appointment_id)
    assert (row.status, row.calcom_sync_status) == (AppointmentStatus.COMPLETED, SyncState.SYNCED)


def test_the_end_of_a_meeting_that_was_moved_is_not_the_end_of_the_new_one(
    told: Cal, desk: Desk
) -> None:
    appointment_id = book_over_there(told)
    moved = booking(desk, "ACCEPTED", seconds, uid=NEW_UID, rescheduleUid=UID, metadata={})
    told.say("BOOKING_RESCHEDULED", **moved)

    assert told.say_flat("MEETING_ENDED", **flat(desk)) == ("ignored", "earlier_booking")
    assert desk.appointment(appointment_id).status is AppointmentStatus.CONFIRMED


@pytest.mark.parametrize("trigger", ["MEETING_ENDED", "BOOKING_NO_SHOW_UPDATED"])
def test_the_old_time_of_what_was_moved_in_vain_completes_nothing(
    told: Cal, desk: Desk, trigger: str
) -> None:
    """Cal.com didn't take the move, so its booking ends when it always would have."""
    appointment_id = desk.book(in_days(2))
    desk.work()
    uid = desk.appointment(appointment_id).calcom_v2_booking_id
    desk.cal.fail({"kind": "status", "status": 422, "operation": "bookings.reschedule"})
    desk.move(appointment_id, in_days(9))
    desk.work()
    clock.advance(timedelta(days=3))

    if trigger == "MEETING_ENDED":
        outcome = told.say_flat(trigger, **flat(desk, uid=uid))
    else:
        outcome = told.say(trigger, attendees=[{"email": "x@y.z", "noShow": True}], bookingUid=uid)

    assert outcome == ("ignored", "not_begun")
    assert desk.appointment(appointment_id).is_live


def test_what_has_no_effect_says_so(told: Cal, desk: Desk) -> None:
    for trigger, reason in (
        ("BOOKING_PAID", "no_effect"),
        ("BOOKING_PAYMENT_INITIATED", "no_effect"),
        ("RECORDING_READY", "no_effect"),
        ("OOO_CREATED", "no_effect"),
        ("FORM_SUBMITTED", "unknown_kind"),
        ("BOOKING_CONFIRMED", "unknown_kind"),
        ("booking.created", "unknown_kind"),
    ):
        assert told.say(trigger, **booking(desk, "ACCEPTED", seconds)) == ("ignored", reason)
    assert desk.appointments() == []


def test_a_ping_changes_nothing_whatever_its_label(told: Cal, desk: Desk) -> None:
    payload = {"type": "Test", "title": "Test trigger event", "startTime": milliseconds(START)}
    for label in ("PING", "BOOKING_CREATED", "BOOKING_CANCELLED", "MEETING_ENDED"):
        assert told.say(label, **payload, attendees=[person()]) == ("ignored", "test_ping")
    assert told.say("LOCKSTEP_PING", **payload) == ("ignored", "own_ping")
    assert desk.appointments() == []


def test_an_event_type_that_is_no_service_is_none_of_ours(told: Cal, desk: Desk) -> None:
    for trigger, status in (("BOOKING_CREATED", "ACCEPTED"), ("BOOKING_CANCELLED", "CANCELLED")):
        other = booking(desk, status, seconds, eventTypeId=987_654)
        assert told.say(trigger, **other) == ("ignored", "not_our_service")


@pytest.fixture
def stranger(desk: Desk) -> Tenant:
    """Another company on the same Cal.com host, with a service and a booking of its own."""
    other = make_company("blau", calcom_url=f"{desk.url}/v2", event_type_id=555)
    appointment_id = make_appointment(other, calcom_v2_booking_id=FOREIGN_UID)
    with as_company(other.id):
        host = db.session.get_one(Company, other.id).calcom_host
        alias = {"appointment_id": appointment_id, "calcom_host": host, "uid": FOREIGN_UID}
        db.session.add(BookingAlias(**alias, first_seen_at=clock.now()))
        db.session.commit()
    return other


def test_what_is_another_companys_is_refused_and_audited(
    told: Cal, desk: Desk, stranger: Tenant
) -> None:
    cases = (
        ({"eventTypeId": 555}, "service_of_another_company"),
        ({"uid": FOREIGN_UID}, "booking_of_another_company"),
        ({"rescheduleUid": FOREIGN_UID}, "booking_of_another_company"),
    )
    triggers = ("BOOKING_CREATED", "BOOKING_RESCHEDULED", "BOOKING_CANCELLED", "BOOKING_PAID")
    for trigger in triggers:
        for fields, reason in cases:
            foreign = booking(desk, "ACCEPTED", seconds, **fields)
            assert told.say(trigger, **foreign) == ("refused", reason)

    assert desk.appointments() == []
    with as_company(stranger.id):
        assert db.session.scalars(select(BookingAlias.uid)).all() == [FOREIGN_UID]
    with as_company(desk.company.id):
        actions = db.session.scalars(select(AuditEntry.action)).all()
        assert actions == ["delivery.refused"] * len(triggers) * len(cases)


def test_a_strangers_signature_opens_no_door_but_its_own(
    told: Cal, desk: Desk, stranger: Tenant
) -> None:
    body = {"triggerEvent": "BOOKING_CREATED", "payload": booking(desk, "ACCEPTED", seconds)}

    assert told.post(body, secret=stranger.webhook_secret).status_code == 401

    with as_company(desk.company.id):
        assert db.session.scalars(select(Delivery)).all() == []


def test_what_was_read_as_another_companys_is_refused_too(
    told: Cal, desk: Desk, stranger: Tenant
) -> None:
    """The body names our event type; Cal.com, asked, names the stranger's."""
    desk.cal.put("event-types", {"account": "sonnenschein@cal.test", "id": 555, "title": "X"})
    desk.cal.book(silent=True, uid=NEW_UID, eventTypeId=555, start=START.isoformat())
    moved = booking(desk, "ACCEPTED", seconds, uid=NEW_UID, rescheduleUid=UID)

    assert told.say("BOOKING_RESCHEDULED", seconds=6, **moved) == (
        "refused",
        "service_of_another_company",
    )
