"""Thresholds: told once on crossing, once when over, with hysteresis, by enough data."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from tests.factories import Person, Tenant, make_appointment, make_discrepancy
from webapp import clock
from webapp.extensions import db
from webapp.insight.thresholds import LEAST_APPOINTMENTS, is_beyond, is_calm
from webapp.jobs import schedule
from webapp.jobs.thresholds import evaluate
from webapp.models.appointment import Origin
from webapp.models.discrepancy import Discrepancy, DiscrepancyType, Resolution
from webapp.models.notification import Notification, NotificationType
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import as_company
from webapp.models.threshold import ThresholdKind, thresholds
from webapp.notify.wording import title_of

pytestmark = pytest.mark.usefixtures("engine", "admin")
STEP = timedelta(minutes=5)


def set_bound(company: Tenant, kind: ThresholdKind, bound: float | None) -> None:
    with as_company(company.id):
        thresholds(db.session())[kind].bound = bound
        db.session.commit()


def evaluated(company: Tenant) -> list[tuple[str, bool]]:
    """Evaluate; what is open in the inbox then: subject, whether it was closed."""
    evaluate(company.id, company.id)
    clock.advance(STEP)
    return told(company)


def told(company: Tenant) -> list[tuple[str, bool]]:
    with as_company(company.id):
        rows = db.session.scalars(
            select(Notification)
            .where(Notification.type == NotificationType.THRESHOLD_CROSSED)
            .order_by(Notification.id)
        )
        return [(row.subject.removeprefix("threshold:"), row.closed_at is not None) for row in rows]


def find(company: Tenant, count: int, type_: DiscrepancyType) -> None:
    for _ in range(count):
        make_discrepancy(company, make_appointment(company), type_=type_)


def settle(company: Tenant, count: int) -> None:
    with as_company(company.id):
        rows = db.session.scalars(
            select(Discrepancy).where(Discrepancy.resolved_at.is_(None)).limit(count)
        )
        for row in rows:
            row.resolve(Resolution.BY_ITSELF, now=clock.now())
        db.session.commit()


def test_crossing_is_told_once_and_once_when_it_is_over(company: Tenant) -> None:
    set_bound(company, ThresholdKind.QUEUE_LENGTH, 5)
    find(company, 5, DiscrepancyType.DATA_MISMATCH)
    assert evaluated(company) == []
    find(company, 1, DiscrepancyType.DATA_MISMATCH)
    crossed = [("queue_length", False)]
    assert evaluated(company) == crossed
    assert evaluated(company) == crossed
    settle(company, 2)
    assert evaluated(company) == crossed, "one calm evaluation is not enough"
    over = [("queue_length", True), ("queue_length:over", False)]
    assert evaluated(company) == over
    assert evaluated(company) == over


def test_a_figure_that_hovers_about_its_bound_is_told_once(company: Tenant) -> None:
    set_bound(company, ThresholdKind.QUEUE_LENGTH, 5)
    find(company, 6, DiscrepancyType.DATA_MISMATCH)
    evaluated(company)
    for _ in range(3):
        settle(company, 1)
        assert evaluated(company) == [("queue_length", False)], "5 of 5 is not calm"
        find(company, 1, DiscrepancyType.DATA_MISMATCH)
        assert evaluated(company) == [("queue_length", False)]


def test_one_that_is_crossed_again_is_told_again(company: Tenant) -> None:
    set_bound(company, ThresholdKind.QUEUE_LENGTH, 0)
    find(company, 1, DiscrepancyType.DATA_MISMATCH)
    evaluated(company)
    settle(company, 1)
    evaluated(company)
    evaluated(company)
    find(company, 1, DiscrepancyType.DATA_MISMATCH)
    assert evaluated(company)[-2:] == [("queue_length:over", True), ("queue_length", False)]


def test_a_success_rate_of_few_says_nothing(company: Tenant) -> None:
    for number in range(LEAST_APPOINTMENTS):
        make_appointment(
            company,
            state=SyncState.FAILED if number < 2 else SyncState.SYNCED,
            created_by_origin=Origin.RETELL,
        )
        if number == LEAST_APPOINTMENTS - 2:
            assert evaluated(company) == [], "19 are too few"
    assert evaluated(company) == [("success_rate", False)], "18 of 20 are 90 %"


def test_bookings_made_on_calcom_are_not_ours_to_succeed_with(company: Tenant) -> None:
    for _ in range(LEAST_APPOINTMENTS):
        make_appointment(company, state=SyncState.FAILED, created_by_origin=Origin.CALCOM)
    assert evaluated(company) == []


def test_more_than_five_orphans_a_day_cross_and_yesterdays_dont(company: Tenant) -> None:
    find(company, 3, DiscrepancyType.ORPHANED_LOCAL)
    clock.advance(timedelta(hours=23))
    find(company, 3, DiscrepancyType.ORPHANED_CALCOM)
    assert ("orphans", False) in evaluated(company)
    clock.advance(timedelta(hours=2))
    settle(company, 6)
    evaluated(company)
    assert ("orphans:over", False) in evaluated(company)


def test_an_old_finding_crosses(company: Tenant) -> None:
    find(company, 1, DiscrepancyType.DATA_MISMATCH)
    clock.advance(timedelta(hours=23, minutes=58))
    assert evaluated(company) == []
    assert evaluated(company) == [("queue_age", False)]


def test_one_that_is_switched_off_closes_without_a_word(company: Tenant) -> None:
    set_bound(company, ThresholdKind.QUEUE_LENGTH, 0)
    find(company, 1, DiscrepancyType.DATA_MISMATCH)
    evaluated(company)
    set_bound(company, ThresholdKind.QUEUE_LENGTH, None)
    assert evaluated(company) == [("queue_length", True)]


def test_another_companys_trouble_is_none_of_ours(company: Tenant, other_company: Tenant) -> None:
    find(other_company, 30, DiscrepancyType.ORPHANED_LOCAL)
    assert evaluated(company) == []


def test_the_schedule_evaluates_every_five_minutes() -> None:
    assert {"thresholds", "rollup"} <= set(schedule.TASKS)
    assert schedule.FIGURES_MINUTES == 5


def test_it_says_what_was_crossed(company: Tenant, admin: Person) -> None:
    set_bound(company, ThresholdKind.QUEUE_LENGTH, 0)
    find(company, 1, DiscrepancyType.DATA_MISMATCH)
    evaluated(company)
    with as_company(company.id):
        [item] = db.session.scalars(
            select(Notification).where(Notification.user_id == admin.id)
        ).all()
        assert title_of(item) == "Findings in the review queue: 1 (threshold: at most 0)"


@pytest.mark.parametrize(
    ("kind", "value", "beyond", "calm"),
    [
        (ThresholdKind.LATENCY, 10.0, False, False),
        (ThresholdKind.LATENCY, 10.1, True, False),
        (ThresholdKind.LATENCY, 8.0, False, True),
        (ThresholdKind.SUCCESS_RATE, 95.0, False, False),
        (ThresholdKind.SUCCESS_RATE, 94.9, True, False),
        (ThresholdKind.SUCCESS_RATE, 96.0, False, True),
    ],
)
def test_bounds_are_crossed_beyond_them_and_calm_well_below(
    kind: ThresholdKind, value: float, beyond: bool, calm: bool
) -> None:
    bound = 10.0 if kind is ThresholdKind.LATENCY else 95.0
    assert (is_beyond(kind, value, bound), is_calm(kind, value, bound)) == (beyond, calm)
