"""A service carried to its event type on Cal.com: over HTTP, with retries, no lost button."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from tests.desk import Desk
from tests.factories import make_service
from webapp import clock
from webapp.extensions import db
from webapp.jobs import queues
from webapp.jobs.inline import run_job
from webapp.jobs.service_sync import begin_sync
from webapp.models.audit import AuditEntry
from webapp.models.company import Company, ConnectionState
from webapp.models.crossing import due_rows
from webapp.models.service import EventTypeState, Service, ServiceSync
from webapp.models.tenancy import as_company
from webapp.settings import Settings
from webapp.sync.drift import recall
from webapp.sync.offerings import Offer, change_service, take_theirs
from webapp.sync.service_sync import Asked, claim_sync, record_success, request_sync


def ask(desk: Desk, service_id: int | None = None) -> Asked:
    with as_company(desk.company.id):
        asked = request_sync(
            db.session(), service_id or desk.company.service_id, user_id=None, now=clock.now()
        )
        db.session.commit()
    return asked


def push(desk: Desk) -> None:
    run_job("service_sync", desk.company.id, desk.company.service_id)


def service(desk: Desk, **changes: Any) -> Service:
    with as_company(desk.company.id):
        row = db.session.get_one(Service, (desk.company.id, desk.company.service_id))
        for name, value in changes.items():
            setattr(row, name, value)
        db.session.commit()
        db.session.refresh(row)
        db.session.expunge(row)
    return row


def event_type(desk: Desk) -> dict[str, Any]:
    """As Cal.com itself answers it."""
    answer = httpx.get(
        f"{desk.url}/v2/event-types/{desk.company.event_type_id}",
        headers={
            "Authorization": f"Bearer cal_{desk.company.slug}",
            "cal-api-version": "2024-06-14",
        },
    )
    return dict(answer.raise_for_status().json()["data"])


def patches(desk: Desk) -> int:
    return sum("update" in each and "event" in each.lower() for each in desk.cal.operations())


def audited(desk: Desk) -> list[str]:
    with as_company(desk.company.id):
        rows = db.session.scalars(select(AuditEntry.action).order_by(AuditEntry.id))
        return [each for each in rows if each.startswith("service.")]


def test_what_the_service_says_stands_on_the_event_type(desk: Desk) -> None:
    service(
        desk,
        name="Advice",
        duration_minutes=45,
        buffer_before_minutes=5,
        buffer_after_minutes=10,
        sync_error="old",
        sync_error_code="HTTP_400",
    )

    assert ask(desk) is Asked.STARTED
    asked = service(desk)
    push(desk)

    assert (asked.sync_status, asked.sync_error, asked.sync_error_code) == (
        ServiceSync.PENDING,
        None,
        None,
    )
    there = event_type(desk)
    assert (there["title"], there["lengthInMinutes"]) == ("Advice", 45)
    assert (there["beforeEventBuffer"], there["afterEventBuffer"]) == (5, 10)
    row = service(desk)
    assert row.sync_status is ServiceSync.SYNCED
    assert row.last_calcom_sync is not None
    assert row.event_type_state is EventTypeState.PRESENT
    assert audited(desk) == ["service.sync_requested", "service.synced"]


def test_while_one_is_pending_a_second_is_refused_until_its_lease_is_over(desk: Desk) -> None:
    assert ask(desk) is Asked.STARTED
    assert ask(desk) is Asked.RUNNING
    clock.advance(timedelta(seconds=119))
    assert ask(desk) is Asked.RUNNING
    clock.advance(timedelta(seconds=2))
    assert ask(desk) is Asked.STARTED


def test_without_an_event_type_the_server_refuses(desk: Desk) -> None:
    bare = make_service(desk.company)
    assert ask(desk, bare) is Asked.NO_EVENT_TYPE
    assert patches(desk) == 0


def test_it_is_tried_again_after_1_5_and_15_minutes_and_then_left_to_a_person(desk: Desk) -> None:
    desk.cal.fail({"kind": "status", "operation": "event_types.update", "status": 503})
    ask(desk)
    pauses = []
    for _ in range(4):
        push(desk)
        row = service(desk)
        assert row.sync_status is ServiceSync.ERROR
        assert row.sync_error_code == "HTTP_503"
        assert row.sync_error
        if row.sync_due_at is not None:
            pauses.append(round((row.sync_due_at - clock.now()).total_seconds() / 60))
            clock.advance(timedelta(minutes=pauses[-1], seconds=2))
    assert pauses == [1, 5, 15]
    assert service(desk).sync_due_at is None
    desk.cal.heal()
    assert ask(desk) is Asked.STARTED
    push(desk)
    assert service(desk).sync_status is ServiceSync.SYNCED


def test_the_pulse_brings_a_retry_that_is_due(desk: Desk) -> None:
    desk.cal.fail({"kind": "status", "operation": "event_types.update", "status": 503})
    ask(desk)
    push(desk)
    desk.cal.heal()
    assert "service_sync" not in {row.kind for row in due_rows(db.session(), clock.now(), 10)}
    db.session.rollback()
    clock.advance(timedelta(seconds=61))
    desk.work()
    assert service(desk).sync_status is ServiceSync.SYNCED


def test_a_refusal_is_final_and_says_why(desk: Desk) -> None:
    with as_company(desk.company.id):
        row = db.session.get_one(Service, (desk.company.id, desk.company.service_id))
        row.calcom_event_type_id = 999_999
        db.session.commit()
    ask(desk)
    push(desk)
    row = service(desk)
    assert (row.sync_status, row.sync_error_code) == (ServiceSync.ERROR, "HTTP_404")
    assert row.sync_due_at is None
    assert patches(desk) == 0


def test_a_refused_key_breaks_the_connection(desk: Desk) -> None:
    desk.cal.fail({"kind": "status", "operation": "me", "status": 401})
    ask(desk)
    push(desk)
    assert service(desk).sync_error_code == "UNAUTHORIZED"
    with as_company(desk.company.id):
        company = db.session.get_one(Company, desk.company.id)
        assert company.connection_state is ConnectionState.BROKEN


def test_an_event_type_with_seats_is_not_written_to(desk: Desk) -> None:
    desk.cal.put(
        "event-types",
        {
            "id": desk.company.event_type_id,
            "account": "sonnenschein@cal.test",
            "title": "Class",
            "slug": "class",
            "lengthInMinutes": 30,
            "seatsPerTimeSlot": 5,
        },
    )
    ask(desk)
    push(desk)
    assert service(desk).sync_error_code == "NOT_BINDABLE"
    assert patches(desk) == 0


def test_a_lost_worker_is_followed_by_another_and_its_late_word_counts_for_nothing(
    desk: Desk,
) -> None:
    ask(desk)
    with as_company(desk.company.id):
        lost = claim_sync(db.session(), desk.company.service_id, now=clock.now())
        db.session.commit()
    assert lost is not None
    push(desk)
    assert patches(desk) == 0
    clock.advance(timedelta(seconds=121))
    service(desk, name="Newer")
    push(desk)
    assert event_type(desk)["title"] == "Newer"
    with as_company(desk.company.id):
        kept = service(desk).event_type_seen
        assert kept is not None
        assert not record_success(db.session(), lost, recall(kept), now=clock.now())


def test_where_the_queue_is_away_the_service_says_so_and_goes_on_by_itself(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    ask(desk)
    nowhere = queues.connect_for_web("redis://127.0.0.1:1/0")
    monkeypatch.setattr(queues, "connect_for_web", lambda _url: nowhere)
    with as_company(desk.company.id):
        assert not begin_sync(desk.company.service_id)
    monkeypatch.undo()
    row = service(desk)
    assert (row.sync_status, row.sync_error_code) == (ServiceSync.ERROR, "QUEUE_AWAY")
    clock.advance(timedelta(seconds=61))
    desk.work()
    assert service(desk).sync_status is ServiceSync.SYNCED


def test_another_event_type_begins_anew(desk: Desk) -> None:
    ask(desk)
    push(desk)
    service(desk, drifts_since=clock.now())
    with as_company(desk.company.id):
        row = db.session.get_one(Service, (desk.company.id, desk.company.service_id))
        offer = Offer(name="Other", duration_minutes=30, event_type_id=4711)
        change_service(db.session(), row, offer, seen=None, user_id=None, now=clock.now())
        db.session.commit()
    row = service(desk)
    assert row.calcom_event_type_id == 4711
    assert row.event_type_state is EventTypeState.UNKNOWN
    assert (row.event_type_seen, row.drifts_since, row.last_calcom_sync) == (None, None, None)
    assert row.sync_status is ServiceSync.NEVER


def test_theirs_is_taken_in_one_field_or_in_all(desk: Desk) -> None:
    ask(desk)
    push(desk)
    service(desk, name="Ours", duration_minutes=60, drifts_since=clock.now())
    with as_company(desk.company.id):
        row = db.session.get_one(Service, (desk.company.id, desk.company.service_id))
        take = lambda field: take_theirs(  # noqa: E731
            db.session(), row, field, user_id=None, now=clock.now()
        )
        assert take("duration_minutes") == ["duration_minutes"]
        assert (row.name, row.duration_minutes) == ("Ours", 30)
        assert row.drifts_since is not None
        assert take(None) == ["name"]
        assert row.name == "Consultation"
        assert row.drifts_since is None
        db.session.commit()
