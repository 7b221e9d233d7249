"""A company's services against its event types: one listing, and what it can't show."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from tests.desk import Desk
from tests.factories import make_service
from webapp import clock
from webapp.extensions import db
from webapp.jobs.inline import run_job
from webapp.models.audit import AuditEntry
from webapp.models.company import Company, ConnectionState
from webapp.models.run import RunScope
from webapp.models.service import EventTypeState, Service
from webapp.models.tenancy import as_company
from webapp.sync.catalog import request_comparison, take_comparison
from webapp.sync.drift import Deviation, drift_of
from webapp.sync.runs import start_run


def ask(desk: Desk) -> bool:
    with as_company(desk.company.id):
        asked = request_comparison(db.session(), now=clock.now())
        db.session.commit()
    return asked


def compare(desk: Desk) -> None:
    assert ask(desk)
    desk.work()


def service(desk: Desk, service_id: int | None = None) -> Service:
    with as_company(desk.company.id):
        row = db.session.get_one(Service, (desk.company.id, service_id or desk.company.service_id))
        db.session.expunge(row)
        return row


def company(desk: Desk) -> Company:
    with as_company(desk.company.id):
        row = db.session.get_one(Company, desk.company.id)
        db.session.expunge(row)
        return row


def audit(desk: Desk) -> list[tuple[str, Any]]:
    with as_company(desk.company.id):
        rows = db.session.scalars(select(AuditEntry).order_by(AuditEntry.id))
        return [(row.action, row.data) for row in rows if row.action.startswith("service.")]


def edit_there(desk: Desk, **values: Any) -> None:
    """Somebody edits the event type on Cal.com."""
    there = {"title": "Consultation", "slug": "consultation", "lengthInMinutes": 30, **values}
    account = f"{desk.company.slug}@cal.test"
    desk.cal.put("event-types", {"id": desk.company.event_type_id, "account": account, **there})


def test_a_service_that_is_the_same_there_is_in_step(desk: Desk) -> None:
    compare(desk)
    row = service(desk)
    assert row.event_type_state is EventTypeState.PRESENT
    assert drift_of(row) == []
    assert row.event_type_checked_at == company(desk).services_compared_at
    assert company(desk).services_due_at is None
    assert audit(desk) == []


def test_what_somebody_edited_on_cal_com_is_found_and_its_end_too(desk: Desk) -> None:
    edit_there(desk, title="Advice", lengthInMinutes=45, beforeEventBuffer=10)
    compare(desk)
    row = service(desk)
    assert drift_of(row) == [
        Deviation("name", "Consultation", "Advice"),
        Deviation("duration_minutes", 30, 45),
        Deviation("buffer_before_minutes", 0, 10),
    ]
    began = row.drifts_since
    assert began is not None

    clock.advance(timedelta(hours=3))
    compare(desk)
    assert service(desk).drifts_since == began

    edit_there(desk, beforeEventBuffer=0)
    compare(desk)
    assert service(desk).drifts_since is None
    fields = ["name", "duration_minutes", "buffer_before_minutes"]
    assert audit(desk) == [
        ("service.drifted", {"event_type": "present", "fields": fields}),
        ("service.in_step", {"event_type": "present", "fields": []}),
    ]


def test_all_services_cost_one_listing(desk: Desk) -> None:
    for number in range(3):
        made = desk.cal.put(
            "event-types",
            {
                "account": f"{desk.company.slug}@cal.test",
                "title": f"Service {number}",
                "slug": f"service-{number}",
                "lengthInMinutes": 30,
            },
        )
        make_service(desk.company, event_type_id=made["id"])
    make_service(desk.company)
    before = len(desk.cal.operations())
    compare(desk)
    assert desk.cal.operations()[before:] == ["me", "event_types.list"]


def test_an_event_type_that_is_gone_or_anothers_is_said_so(desk: Desk) -> None:
    gone = make_service(desk.company, event_type_id=987654)
    desk.cal.put("accounts", {"email": "other@cal.test", "key": "cal_other"})
    anothers = desk.cal.put(
        "event-types",
        {
            "account": "other@cal.test",
            "title": "Not ours",
            "slug": "not-ours",
            "lengthInMinutes": 30,
        },
    )
    foreign = make_service(desk.company, event_type_id=anothers["id"])

    compare(desk)

    assert service(desk, gone).event_type_state is EventTypeState.GONE
    assert service(desk, foreign).event_type_state is EventTypeState.FOREIGN
    assert service(desk).event_type_state is EventTypeState.PRESENT
    assert company(desk).connection_state is ConnectionState.OK, "a 403 about one event type"


@pytest.mark.parametrize("fault", [{"kind": "empty_list"}, {"kind": "truncated_list", "keep": 0}])
def test_a_listing_that_shows_too_little_makes_nothing_gone(
    desk: Desk, fault: dict[str, Any]
) -> None:
    desk.cal.fail({"operation": "event_types.list", **fault})
    compare(desk)
    assert service(desk).event_type_state is EventTypeState.PRESENT


@pytest.mark.parametrize(("name", "value"), [("seatsPerTimeSlot", 5), ("occurrences", 4)])
def test_an_event_type_that_became_seated_or_recurring_is_noticed(
    desk: Desk, name: str, value: int
) -> None:
    edit_there(desk, **{name: value})
    compare(desk)
    assert service(desk).drifts_since is not None


def test_a_wrong_key_says_nothing_of_services(desk: Desk) -> None:
    compare(desk)
    seen = service(desk).event_type_seen
    desk.cal.put("accounts", {"email": f"{desk.company.slug}@cal.test", "key": "cal_new"})

    compare(desk)

    assert service(desk).event_type_state is EventTypeState.PRESENT
    assert service(desk).event_type_seen == seen
    assert company(desk).services_error_code == "UNAUTHORIZED"
    assert company(desk).connection_state is ConnectionState.BROKEN


def test_an_answer_of_another_version_is_refused(desk: Desk) -> None:
    """Without the version header Cal.com says `length`: no drift may be read out of that."""
    desk.cal.fail({"kind": "old_version", "operation": "event_types.list"})
    compare(desk)
    assert company(desk).services_error_code == "PROTOCOL"
    assert service(desk).event_type_state is EventTypeState.UNKNOWN


def test_while_the_limit_is_reached_the_comparison_waits(desk: Desk) -> None:
    desk.cal.fail({"kind": "status", "status": 429, "times": 1})
    compare(desk)
    due_at = company(desk).services_due_at
    assert due_at is not None
    assert due_at > clock.now()
    assert company(desk).services_error_code is None
    desk.cal.heal()
    clock.advance(timedelta(minutes=5))
    desk.work()
    assert company(desk).services_compared_at is not None


def test_two_jobs_compare_once_and_a_dead_ones_work_is_taken_over(desk: Desk) -> None:
    assert ask(desk)
    assert not ask(desk), "asking twice is one comparison"
    with as_company(desk.company.id):
        assert take_comparison(db.session(), now=clock.now()) is not None
        db.session.commit()
    before = len(desk.cal.operations())
    run_job("services", desk.company.id, desk.company.id)
    assert len(desk.cal.operations()) == before
    clock.advance(timedelta(seconds=61))
    desk.work()
    assert company(desk).services_compared_at is not None


@pytest.mark.parametrize(
    ("scope", "compares"), [(RunScope.FULL, True), (RunScope.REQUESTED, False)]
)
def test_a_full_sweeps_end_has_the_services_compared(
    desk: Desk, scope: RunScope, compares: bool
) -> None:
    with as_company(desk.company.id):
        run_id = start_run(db.session(), scope=scope, now=clock.now())
        db.session.commit()
    assert run_id is not None
    run_job("run", desk.company.id, run_id)
    desk.work()
    assert (company(desk).services_compared_at is not None) is compares
