"""The monitoring page: its windows, its own company's figures, checks run now, without Redis."""

import html
import json
import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from sqlalchemy import select

from tests.factories import Tenant, make_appointment, make_discrepancy
from tests.views.conftest import Visitor
from tests.views.counting import count_statements
from webapp import clock
from webapp.extensions import db
from webapp.insight.monitoring import WINDOWS, Cell, Report
from webapp.jobs.heartbeats import Heart
from webapp.jobs.rollup import roll_up
from webapp.jobs.schedule import TASKS, slot_bounds
from webapp.models.appointment import Origin
from webapp.models.audit import AuditEntry
from webapp.models.heartbeat import ProcessKind
from webapp.models.run import Run, RunScope
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import as_company
from webapp.models.threshold import ThresholdKind, bounds
from webapp.settings import Settings
from webapp.views.charts import charts_of


def some_figures(app: Flask, tenant: Tenant) -> None:
    with app.app_context():
        for state in [SyncState.SYNCED] * 3 + [SyncState.FAILED]:
            make_appointment(tenant, state=state, created_by_origin=Origin.RETELL)
        make_discrepancy(tenant)
        roll_up(tenant.id, tenant.id)


def chart(page: str, name: str) -> dict[str, object]:
    found = re.search(rf'id="chart-{name}".*?data-chart="([^"]*)"', page, re.DOTALL)
    assert found, f"no chart {name}"
    return dict(json.loads(html.unescape(found.group(1))))


@pytest.mark.parametrize("window", WINDOWS)
def test_each_window_shows_what_happened_in_it(
    app: Flask, at_staff: Visitor, company: Tenant, window: str
) -> None:
    some_figures(app, company)
    page = at_staff.page(f"/monitoring?window={window}")
    # Three calls of four, and a discrepancy's own appointment made at the desk has failed too.
    assert "60\u00a0%" in page
    assert chart(page, "success")["most"] == 100
    length = WINDOWS[window]
    points = chart(page, "findings")["x"]
    assert isinstance(points, list)
    assert len(points) == length.length.total_seconds() // length.step_seconds


def test_every_chart_has_its_numbers_as_a_table(
    app: Flask, at_staff: Visitor, company: Tenant
) -> None:
    some_figures(app, company)
    page = at_staff.page("/monitoring")
    assert page.count("data-chart=") == page.count("chart-table") > 1
    assert "<style" not in page
    assert "style=" not in page


def test_another_companys_figures_are_not_shown(
    app: Flask, at_staff: Visitor, company: Tenant, other_company: Tenant
) -> None:
    some_figures(app, other_company)
    page = at_staff.page("/monitoring?window=30d")
    assert "data-chart=" not in page
    assert "No appointments were made in this time." in page


def test_a_page_with_much_on_it_costs_few_statements(
    app: Flask, at_staff: Visitor, company: Tenant
) -> None:
    some_figures(app, company)
    with count_statements(app) as seen:
        at_staff.page("/monitoring?window=30d")
    queries = [each for each in seen if "set_config" not in each]
    assert len(queries) <= 15, queries


def test_it_says_whether_anybody_is_at_work(app: Flask, at_staff: Visitor) -> None:
    assert "None answers: changes wait." in at_staff.page("/monitoring")
    with app.app_context():
        Heart(ProcessKind.WORKER).beat()
        Heart(ProcessKind.SCHEDULER).beat()
    page = at_staff.page("/monitoring")
    assert "1 answers" in page
    assert "None answers" not in page


def test_without_redis_it_says_unknown(
    app: Flask, at_staff: Visitor, settings: Settings, company: Tenant
) -> None:
    app.extensions["settings"] = settings.model_copy(update={"redis_url": "redis://127.0.0.1:9/0"})
    try:
        assert "unknown" in at_staff.page("/monitoring")
    finally:
        app.extensions["settings"] = settings


def test_without_redis_nothing_is_said_to_be_started(
    app: Flask, at_manager: Visitor, settings: Settings
) -> None:
    app.extensions["settings"] = settings.model_copy(update={"redis_url": "redis://127.0.0.1:9/0"})
    try:
        at_manager.post("/monitoring/checks/thresholds/runs")
        assert "could not be started" in at_manager.page("/monitoring")
    finally:
        app.extensions["settings"] = settings


def test_an_hour_in_which_everything_failed_is_no_empty_hour() -> None:
    point = clock.now()
    cells = {
        "created": {"admin/failed": {point: Cell(50)}},
        "coverage": {"expected": {point: Cell(9)}, "seen": {point: Cell(0)}},
    }
    empty = {chart.name for chart in charts_of(Report([point], cells)) if chart.is_empty}
    assert not empty & {"success", "coverage", "origins"}
    assert {"latency", "pushes", "queue"} <= empty


def test_every_origin_is_in_the_chart_of_appointments() -> None:
    [chart] = [each for each in charts_of(Report([clock.now()])) if each.name == "origins"]
    assert len(chart.lines) == len(Origin)


def test_a_check_can_be_run_now_by_who_acts(
    app: Flask, at_manager: Visitor, at_staff: Visitor, company: Tenant, other_company: Tenant
) -> None:
    assert at_staff.post("/monitoring/checks/sweep/runs").status_code == 403
    assert at_manager.post("/monitoring/checks/sweep/runs").status_code == 303
    assert at_manager.post("/monitoring/checks/thresholds/runs").status_code == 303
    assert at_manager.post("/monitoring/checks/reconnection/runs").status_code == 404
    with app.app_context():
        with as_company(company.id):
            assert db.session.scalars(select(Run.scope)).all() == [RunScope.FULL]
        with as_company(other_company.id):
            assert db.session.scalars(select(Run.scope)).all() == []


def test_a_check_whose_slot_nobody_began_is_called_overdue(at_staff: Visitor) -> None:
    if clock.now().minute < 5:
        clock.advance(timedelta(minutes=10))
    assert "Overdue" in at_staff.page("/monitoring")


@pytest.mark.parametrize(
    ("task", "begins", "ends"),
    [
        ("verification", "2026-03-29T00:00", "2026-03-29T06:00"),
        ("rollup", "2026-03-29T03:10", "2026-03-29T03:15"),
        ("sweep", "2026-03-29T01:00", "2026-03-30T00:00"),
    ],
)
def test_a_slots_bounds_are_found(app: Flask, task: str, begins: str, ends: str) -> None:
    """On the night that loses an hour, too."""
    with app.app_context():
        now = datetime(2026, 3, 29, 3, 12, tzinfo=UTC)
        found = slot_bounds(TASKS[task], now, ZoneInfo("Europe/Berlin"))
    assert [each.strftime("%Y-%m-%dT%H:%M") for each in found] == [begins, ends]


def test_an_admin_sets_thresholds_and_it_is_audited(
    app: Flask, at_admin: Visitor, company: Tenant
) -> None:
    form = {kind.value: "" for kind in ThresholdKind} | {"orphans": "7", "latency": "2,5"}
    assert at_admin.post("/settings/thresholds", form).status_code == 303
    with app.app_context(), as_company(company.id):
        known = bounds(db.session())
        actions = db.session.scalars(select(AuditEntry.action)).all()
    assert (known[ThresholdKind.ORPHANS], known[ThresholdKind.LATENCY]) == (7.0, 2.5)
    assert known[ThresholdKind.QUEUE_AGE] is None
    assert "thresholds.changed" in actions


@pytest.mark.parametrize("typed", ["many", "-1", "101", "nan", "1e999"])
def test_a_bound_that_is_none_is_refused_and_nothing_saved(
    app: Flask, at_admin: Visitor, company: Tenant, typed: str
) -> None:
    form = {kind.value: "3" for kind in ThresholdKind} | {"success_rate": typed}
    answer = at_admin.post("/settings/thresholds", form)
    assert answer.status_code == 422
    assert f'value="{typed}"' in answer.text
    with app.app_context(), as_company(company.id):
        assert bounds(db.session())[ThresholdKind.ORPHANS] == 5.0


def test_a_manager_sees_the_thresholds_and_cannot_set_them(at_manager: Visitor) -> None:
    assert "Only admins can change these." in at_manager.page("/settings/thresholds")
    assert at_manager.post("/settings/thresholds").status_code == 403
