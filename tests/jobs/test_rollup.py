"""Figures counted in advance: idempotent, catching up, late data, percentiles, nobody else's."""

import random
from datetime import time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select

from tests.factories import (
    Tenant,
    make_appointment,
    make_delivery,
    make_discrepancy,
    make_notification,
    make_run,
)
from webapp import clock
from webapp.extensions import db
from webapp.insight.rollup import GROWTH, bin_of, percentile, seconds_of
from webapp.jobs.rollup import roll_up
from webapp.models.appointment import Origin
from webapp.models.company import Company
from webapp.models.discrepancy import Discrepancy, Resolution
from webapp.models.history import EventKind, record_event
from webapp.models.intent import Intent, IntentKind, IntentStatus
from webapp.models.notification import NotificationType
from webapp.models.rollup import DAY_SECONDS, FINE_SECONDS, HOUR_SECONDS, Rollup
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import as_company

pytestmark = pytest.mark.usefixtures("engine")
HOUR = timedelta(hours=1)
Row = tuple[Any, ...]


def rows(company: Tenant, length: int = HOUR_SECONDS) -> list[Row]:
    """Everything counted, without the queue's gauge, which changes with the clock."""
    with as_company(company.id):
        found = db.session.execute(
            select(Rollup.begins_at, Rollup.figure, Rollup.key, Rollup.count, Rollup.total)
            .where(Rollup.length_seconds == length, Rollup.figure != "queue")
            .order_by(*Rollup.__table__.primary_key)
        )
        return [tuple(row) for row in found]


def figures(company: Tenant, figure: str, length: int = HOUR_SECONDS) -> dict[str, int]:
    with as_company(company.id):
        found = db.session.execute(
            select(Rollup.key, func.sum(Rollup.count))
            .where(Rollup.length_seconds == length, Rollup.figure == figure)
            .group_by(Rollup.key)
        )
        return {key: int(count) for key, count in found}


def push(company: Tenant, seconds: float) -> None:
    """A change that took so long to be agreed on."""
    appointment_id = make_appointment(company)
    with as_company(company.id):
        now = clock.now()
        intent = Intent(
            appointment_id=appointment_id,
            kind=IntentKind.CREATE,
            status=IntentStatus.DONE,
            origin=Origin.ADMIN,
            created_at=now - timedelta(seconds=seconds),
            due_at=now,
            finished_at=now,
        )
        db.session.add(intent)
        db.session.flush()
        record_event(db.session(), appointment_id, EventKind.PUSHED, at=now, intent_id=intent.id)
        db.session.commit()


def fail(company: Tenant, appointment_id: int, kind: EventKind, code: str) -> None:
    with as_company(company.id):
        record_event(db.session(), appointment_id, kind, at=clock.now(), code=code)
        db.session.commit()


def something_of_everything(company: Tenant) -> None:
    push(company, 2.0)
    failed = make_appointment(company, state=SyncState.FAILED, created_by_origin=Origin.RETELL)
    fail(company, failed, EventKind.PUSH_FAILED, "HTTP_500")
    make_discrepancy(company, failed)
    make_delivery(company)
    make_run(company, expected_count=10, compared_count=10, agreed_count=9)


def test_counting_twice_changes_nothing(company: Tenant) -> None:
    something_of_everything(company)
    roll_up(company.id, company.id)
    once = rows(company)
    roll_up(company.id, company.id)
    assert rows(company) == once
    assert {"created", "push", "error", "latency", "found", "delivery", "run", "coverage"} <= {
        row[1] for row in once
    }


def test_each_figure_says_what_it_counts(company: Tenant) -> None:
    something_of_everything(company)
    roll_up(company.id, company.id)
    assert figures(company, "created") == {"admin/synced": 1, "retell/failed": 1}
    assert figures(company, "service") == {
        f"{company.service_id}/synced": 1,
        f"{company.service_id}/failed": 1,
    }
    assert figures(company, "push") == {"pushed": 1, "push_failed": 1}
    assert figures(company, "error") == {"HTTP_500": 1}
    assert figures(company, "latency")["all"] == 1
    assert figures(company, "found") == {"data_mismatch": 1}
    assert figures(company, "coverage") == {"seen": 9, "expected": 10}


def test_fine_stretches_add_up_to_hours(company: Tenant) -> None:
    something_of_everything(company)
    clock.advance(timedelta(minutes=7))
    something_of_everything(company)
    roll_up(company.id, company.id)
    for figure in ("created", "push", "latency", "found"):
        assert figures(company, figure) == figures(company, figure, FINE_SECONDS)


def test_hours_add_up_to_the_companys_days(company: Tenant) -> None:
    for _ in range(3):
        clock.advance(timedelta(days=1))
        something_of_everything(company)
        roll_up(company.id, company.id)
    for figure in ("created", "push", "latency", "found", "coverage"):
        assert figures(company, figure) == figures(company, figure, DAY_SECONDS)
    days = {row[0] for row in rows(company, DAY_SECONDS)}
    assert len(days) == 3
    assert {day.astimezone(ZoneInfo("Europe/Berlin")).time() for day in days} == {time.min}


def test_days_follow_the_company_to_another_zone(company: Tenant) -> None:
    something_of_everything(company)
    for _ in range(3):
        roll_up(company.id, company.id)
        clock.advance(timedelta(days=5))
    roll_up(company.id, company.id)
    with as_company(company.id):
        db.session.get_one(Company, company.id).time_zone = "America/New_York"
        db.session.commit()
    roll_up(company.id, company.id)
    days = {row[0] for row in rows(company, DAY_SECONDS)}
    assert {day.astimezone(ZoneInfo("America/New_York")).time() for day in days} == {time.min}
    assert figures(company, "push", DAY_SECONDS) == {"pushed": 1, "push_failed": 1}


def test_what_came_in_a_stop_is_caught_up(company: Tenant) -> None:
    something_of_everything(company)
    roll_up(company.id, company.id)
    for _ in range(3):
        clock.advance(timedelta(hours=30))
        something_of_everything(company)
    roll_up(company.id, company.id)
    assert figures(company, "push") == {"pushed": 4, "push_failed": 4}


def test_an_appointment_that_succeeds_later_counts_where_it_was_made(company: Tenant) -> None:
    appointment_id = make_appointment(company, state=SyncState.FAILED)
    roll_up(company.id, company.id)
    assert figures(company, "created") == {"admin/failed": 1}
    clock.advance(timedelta(days=9))
    roll_up(company.id, company.id)
    with as_company(company.id):
        from webapp.models.appointment import move_sync_state

        now = clock.now()
        move_sync_state(db.session(), appointment_id, SyncState.SYNCED, sync_verified_at=now)
        record_event(db.session(), appointment_id, EventKind.VERIFIED, at=now)
        db.session.commit()
    roll_up(company.id, company.id)
    assert figures(company, "created") == {"admin/synced": 1}
    assert figures(company, "created", DAY_SECONDS) == {"admin/synced": 1}


def test_a_finding_that_was_folded_is_not_paired_with_the_item_of_a_later_one(
    company: Tenant, admin: Any
) -> None:
    first_at = clock.now()
    folded = make_appointment(company)
    make_discrepancy(
        company,
        folded,
        opened_at=first_at,
        resolved_at=first_at + HOUR,
        resolution=Resolution.BY_ITSELF,
    )
    clock.advance(9 * HOUR)
    make_discrepancy(company, folded, opened_at=clock.now())
    make_notification(admin, folded, type=NotificationType.DATA_MISMATCH, created_at=clock.now())
    roll_up(company.id, company.id)
    assert figures(company, "inbox")["all"] == 1


def test_settling_is_counted_by_who_did_it(company: Tenant, admin: Any) -> None:
    first, second = make_discrepancy(company), make_discrepancy(company)
    clock.advance(HOUR)
    with as_company(company.id):
        for id_, user_id in ((first, None), (second, admin.id)):
            found = db.session.get_one(Discrepancy, (company.id, id_))
            found.resolve(Resolution.BY_ITSELF, now=clock.now(), user_id=user_id)
        db.session.commit()
    roll_up(company.id, company.id)
    assert figures(company, "settled") == {"alone": 1, "person": 1}
    assert figures(company, "resolution") == {f"{bin_of(3600):03d}": 2}


def test_the_queue_is_as_long_as_it_was_at_each_time(company: Tenant) -> None:
    make_discrepancy(company)
    clock.advance(3 * HOUR)
    make_discrepancy(company)
    roll_up(company.id, company.id)
    with as_company(company.id):
        peaks = db.session.scalars(
            select(Rollup.peak)
            .where(Rollup.length_seconds == HOUR_SECONDS, Rollup.figure == "queue")
            .order_by(Rollup.begins_at.desc())
            .limit(5)
        ).all()
    assert list(peaks) == [2.0, 1.0, 1.0, 1.0, 0.0]


def test_another_companys_figures_are_never_counted(company: Tenant, other_company: Tenant) -> None:
    something_of_everything(other_company)
    roll_up(company.id, company.id)
    assert rows(company) == []
    roll_up(other_company.id, other_company.id)
    assert rows(company) == []
    assert rows(other_company) != []


def test_a_percentile_is_off_by_at_most_five_per_cent() -> None:
    chance = random.Random(7)
    times = sorted(chance.lognormvariate(0.5, 1.4) for _ in range(5000))
    bins: dict[int, int] = {}
    for seconds in times:
        bins[bin_of(seconds)] = bins.get(bin_of(seconds), 0) + 1
    for share in (0.5, 0.95, 0.99):
        exact = times[int(share * len(times)) - 1]
        read = percentile(bins, share)
        assert read is not None
        assert abs(read / exact - 1) <= GROWTH**0.5 - 1 + 1e-9


def test_a_percentile_of_nothing_says_nothing() -> None:
    assert percentile({}, 0.95) is None
    assert percentile({bin_of(3.0): 1}, 0.5) == seconds_of(bin_of(3.0))


@pytest.mark.parametrize("seconds", [0.0, 0.004, 0.011, 0.7, 2.0, 9.9, 3600.0, 86400.0, 1e8])
def test_the_database_bins_as_we_do(company: Tenant, seconds: float) -> None:
    push(company, seconds)
    roll_up(company.id, company.id)
    [bin_] = set(figures(company, "latency")) - {"all"}
    assert int(bin_) == bin_of(seconds)
