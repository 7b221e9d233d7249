"""The silence alarm: what reading shows and no webhook announced is counted, told, and over when
the webhook is heard again (S4.4)."""

from datetime import datetime, timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from tests.desk import Desk, in_days
from tests.factories import Tenant, make_delivery, make_person
from tests.filled import fill_calendar, move_there
from tests.sync.test_receive import body_of, post
from webapp import clock
from webapp.extensions import db
from webapp.jobs.inline import run_job
from webapp.models.company import Company
from webapp.models.delivery import DeliveryStatus
from webapp.models.notification import Notification
from webapp.models.remote_change import (
    Announcements,
    RemoteChange,
    RemoteChangeKind,
    recent_announcements,
)
from webapp.models.run import RunScope
from webapp.models.tenancy import as_company
from webapp.sync.announcements import USUAL_ALARM, SeenChange, note_changes
from webapp.sync.runs import start_run

TEN_MINUTES = timedelta(minutes=10)


@pytest.fixture
def tenant(desk: Desk) -> Tenant:
    """A company whose webhook was heard of a day ago."""
    make_delivery(
        desk.company, received_at=clock.now() - timedelta(days=2), status=DeliveryStatus.IGNORED
    )
    return desk.company


def seen(
    number: int, at: datetime, kind: RemoteChangeKind = RemoteChangeKind.CANCELLED
) -> SeenChange:
    return SeenChange(f"seen{number:018}", kind, at)


def note(tenant: Tenant, *changes: SeenChange) -> Announcements | None:
    with as_company(tenant.id):
        figures = note_changes(db.session(), changes, now=clock.now(), alarm=USUAL_ALARM)
        db.session.commit()
    return figures


def is_silent(tenant: Tenant) -> bool:
    with as_company(tenant.id):
        return db.session.get_one(Company, tenant.id).webhook_silent_since is not None


def told(tenant: Tenant) -> list[tuple[str, bool, object]]:
    with as_company(tenant.id):
        rows = db.session.scalars(select(Notification))
        return [(row.type.value, row.closed_at is None, row.parameters["missed"]) for row in rows]


def test_three_unannounced_changes_are_told_once_and_the_next_webhook_ends_it(
    desk: Desk, tenant: Tenant, client: FlaskClient
) -> None:
    make_person(tenant)
    earlier = clock.now() - TEN_MINUTES

    assert note(tenant, seen(1, earlier), seen(2, earlier)) == (0, 2)
    assert not is_silent(tenant)
    assert note(tenant, *(seen(each, earlier) for each in (1, 2, 3))) == (0, 3)
    assert is_silent(tenant)
    note(tenant, seen(4, earlier))
    assert told(tenant) == [("webhook_silent", True, 3)]

    post(client, desk, body_of("LOCKSTEP_PING"))
    desk.work()
    assert is_silent(tenant), "our own ping is no word of Cal.com's"

    post(client, desk, body_of("PING"))
    desk.work()

    assert not is_silent(tenant)
    assert told(tenant) == [("webhook_silent", False, 3)]
    note(tenant, seen(5, earlier))
    assert not is_silent(tenant), "what was missed before it was heard again is over"


def test_a_change_that_a_delivery_announced_is_no_miss(tenant: Tenant) -> None:
    earlier = clock.now() - TEN_MINUTES
    uids = [seen(each, earlier).uid for each in (1, 2, 3)]
    for uid, trigger in zip(
        uids, ("BOOKING_CANCELLED", "BOOKING_REJECTED", "BOOKING_CREATED"), strict=True
    ):
        make_delivery(tenant, booking_uid=uid, trigger=trigger, status=DeliveryStatus.IGNORED)

    figures = note(tenant, *(seen(each, earlier) for each in (1, 2, 3)))

    assert figures == (2, 1), "that it was created doesn't announce that it was cancelled"


def test_a_webhook_has_its_time_to_be_late(tenant: Tenant) -> None:
    assert note(tenant, *(seen(each, clock.now()) for each in (1, 2, 3))) is None
    assert not is_silent(tenant)

    clock.advance(TEN_MINUTES)

    assert note(tenant) == (0, 3)
    assert is_silent(tenant)


def test_what_changed_before_there_was_a_webhook_is_none_of_its_misses(tenant: Tenant) -> None:
    long_ago = clock.now() - timedelta(days=30)
    assert note(tenant, *(seen(each, long_ago) for each in range(9))) is None


def test_a_few_misses_among_many_announced_changes_are_shown_but_not_told(tenant: Tenant) -> None:
    for _ in range(9):
        make_delivery(tenant)
    earlier = clock.now() - TEN_MINUTES

    note(tenant, *(seen(each, earlier) for each in (1, 2, 3)))

    assert not is_silent(tenant)
    with as_company(tenant.id):
        figures = recent_announcements(db.session(), clock.now(), 24)
    assert figures == (9, 3)
    assert figures.miss_rate == 0.25


def test_a_small_company_hears_of_it_after_its_latest_three_changes(tenant: Tenant) -> None:
    """One change on Cal.com every three days never makes three in one."""
    for number in (1, 2, 3):
        assert not is_silent(tenant)
        clock.advance(timedelta(days=3))
        note(tenant, seen(number, clock.now() - TEN_MINUTES))

    assert is_silent(tenant)


def test_few_changes_are_no_silence_where_one_was_announced_or_they_are_long_ago(
    tenant: Tenant,
) -> None:
    for number in (1, 2, 3, 4):
        clock.advance(timedelta(days=3))
        note(tenant, seen(number, clock.now() - TEN_MINUTES))
        if number in (1, 2):
            make_delivery(tenant)
    assert not is_silent(tenant), "what was announced since the first of three"

    clock.advance(timedelta(days=12))
    note(tenant, seen(5, clock.now() - TEN_MINUTES))
    assert not is_silent(tenant), "three in more than a fortnight"


def test_what_reading_never_shows_does_not_drown_what_is_missed(tenant: Tenant) -> None:
    """A webhook that lacks the cancellations, and a practice full of meetings that end."""
    for trigger in ["MEETING_ENDED", "BOOKING_NO_SHOW_UPDATED"] * 6:
        make_delivery(tenant, trigger=trigger)
    earlier = clock.now() - TEN_MINUTES

    assert note(tenant, *(seen(each, earlier) for each in range(10))) == (0, 10)
    assert is_silent(tenant)


def test_many_changes_cost_as_many_statements_as_one(tenant: Tenant) -> None:
    """The verification engine hands in whole pages."""
    earlier = clock.now() - TEN_MINUTES
    assert note(tenant, *(seen(each, earlier) for each in range(250))) == (0, 250)
    assert note(tenant, *(seen(each, earlier) for each in range(250))) is None
    with as_company(tenant.id):
        assert len(db.session.scalars(select(RemoteChange)).all()) == 250


def test_verification_notes_what_it_finds_moved_over_there(desk: Desk, tenant: Tenant) -> None:
    appointment_id = desk.book(in_days(2))
    desk.work()
    uid = str(desk.appointment(appointment_id).calcom_v2_booking_id)
    desk.cal.change(uid, "cancel", reason="Ill")

    desk.verify_automatically(appointment_id)

    with as_company(tenant.id):
        row = db.session.scalars(select(RemoteChange)).one()
        assert (row.uid, row.kind) == (uid, RemoteChangeKind.CANCELLED)
        assert row.was_announced is False
        assert row.appointment_id == appointment_id


def test_a_run_that_reads_what_no_webhook_told_finds_the_webhook_silent(
    desk: Desk, tenant: Tenant
) -> None:
    pairs = fill_calendar(tenant, desk.cal, 3)
    for pair in pairs:
        move_there(tenant, desk.cal, pair)
    clock.advance(TEN_MINUTES)

    with as_company(tenant.id):
        run_id = start_run(db.session(), scope=RunScope.FULL, now=clock.now())
        db.session.commit()
    assert run_id is not None
    run_job("run", tenant.id, run_id)

    assert is_silent(tenant)
