"""Monitoring: does the whole thing work, over an hour, a day, a week or a month (S10)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import Blueprint, Flask, abort, flash, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import LazyString, format_decimal
from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from webapp import clock
from webapp.application import settings
from webapp.extensions import db
from webapp.insight.monitoring import WINDOWS, Report, read_report
from webapp.insight.waiting import review_queue, waiting_work
from webapp.insight.workers import count_living, living_workers
from webapp.jobs.queues import enqueue_run, hand_over
from webapp.jobs.schedule import TASKS, slot_bounds
from webapp.jobs.traffic import read_traffic
from webapp.models.company import Company
from webapp.models.heartbeat import ProcessKind
from webapp.models.run import RunScope, latest_slots
from webapp.models.service import Service
from webapp.models.tenancy import require_company_id
from webapp.sync.first_steps import has_begun
from webapp.sync.runs import start_run
from webapp.views import htmx
from webapp.views.access import acting, company_zone, require_person
from webapp.views.charts import charts_of
from webapp.views.pages import render_page
from webapp.views.settings import CIRCUITS
from webapp.views.words import gettext as _

blueprint = Blueprint("monitoring", __name__, url_prefix="/monitoring")

WINDOW_NAMES: dict[str, LazyString] = {
    "1h": _l("1 hour"),
    "24h": _l("24 hours"),
    "7d": _l("7 days"),
    "30d": _l("30 days"),
}
WORK: dict[str, LazyString] = {
    "push": _l("Changes for Cal.com"),
    "delivery": _l("Webhooks received"),
    "run": _l("Verifications"),
    "sending": _l("Messages"),
    "bulk": _l("Bulk actions"),
}
CHECKS: dict[str, LazyString] = {
    "verification": _l("Verification"),
    "sweep": _l("Nightly sweep"),
    "delta": _l("Look at changes"),
    "thresholds": _l("Thresholds"),
    "rollup": _l("Counting of figures"),
    "cleaning": _l("Forgetting what is old"),
}
SCOPES = {
    "verification": RunScope.SCHEDULED,
    "sweep": RunScope.FULL,
    "delta": RunScope.DELTA,
}
SHORT = 90.0


@dataclass(frozen=True, slots=True)
class Check:
    """A periodic check of this company."""

    name: str
    label: LazyString
    last_at: datetime | None
    next_at: datetime
    is_missed: bool
    """Its slot began some ticks ago, and nobody has begun it."""
    needs_key: bool


@blueprint.get("")
def show() -> ResponseReturnValue:
    name = request.args.get("window", "24h")
    name = name if name in WINDOWS else "24h"
    now, session = clock.now(), db.session()
    report = read_report(session, WINDOWS[name], now, company_zone())
    processes = living_workers(session, now)
    return render_page(
        "monitoring/show.html",
        window=name,
        windows=WINDOW_NAMES,
        report=report,
        charts=charts_of(report),
        service_names=_service_names(report),
        queue=review_queue(session, now),
        work=[(WORK[each.kind], each) for each in waiting_work(session)],
        workers=count_living(processes, ProcessKind.WORKER),
        schedulers=count_living(processes, ProcessKind.SCHEDULER),
        checks=_checks(now),
        traffic=read_traffic(),
        circuits=CIRCUITS,
    )


@blueprint.post("/checks/<check>/runs")
@acting
def run(check: str) -> ResponseReturnValue:
    """Begin one of the company's own periodic checks now."""
    if check not in CHECKS:
        abort(404)
    company_id = require_person().company_id
    if check in SCOPES:
        _start(company_id, SCOPES[check])
    elif hand_over(check, company_id, company_id):
        flash(_("Started."), "success")
    else:
        flash(_("It could not be started: the workers' queue does not answer."), "error")
    return htmx.see_other(url_for(".show"))


def _start(company_id: int, scope: RunScope) -> None:
    company = db.session.get_one(Company, company_id)
    if company.calcom_api_key is None:
        flash(_("There is no connection to Cal.com yet."), "warning")
        return
    run_id = start_run(db.session(), scope=scope, now=clock.now(), user_id=require_person().id)
    db.session.commit()
    if run_id is None:
        flash(_("A verification is already running."), "info")
        return
    enqueue_run(company_id, run_id)
    flash(_("Started."), "success")


def _checks(now: datetime) -> list[Check]:
    last = latest_slots(db.session(), CHECKS)
    has_key = db.session.get_one(Company, require_company_id()).calcom_api_key is not None
    patience, is_at_work = timedelta(seconds=3 * settings().tick_seconds), has_begun(db.session())
    checks = []
    for name, label in CHECKS.items():
        began_at, next_at = slot_bounds(TASKS[name], now, company_zone())
        row, needs_key = last.get(name), name in SCOPES and not has_key
        is_taken = row is not None and row.slot == TASKS[name].slot_at(now, company_zone())
        is_late = not is_taken and now - began_at > patience
        is_missed = is_late and not (name in SCOPES and (needs_key or not is_at_work))
        checks.append(
            Check(name, label, row.taken_at if row else None, next_at, is_missed, needs_key)
        )
    return checks


def _service_names(report: Report) -> dict[int, str]:
    ids = [service_id for service_id, _row in report.services()]
    query = select(Service.id, Service.name).where(
        Service.company_id == require_company_id(), Service.id.in_(ids)
    )
    return {row.id: row.name for row in db.session.execute(query)}


def register(app: Flask) -> None:
    app.add_template_filter(tenths)
    app.add_template_filter(seconds)
    app.add_template_filter(success_share)


def tenths(share: float | None) -> str:
    """`99.8 %` out of 0.998; a dash where there is nothing to say."""
    return "–" if share is None else f"{format_decimal(round(100 * share, 1))}\u00a0%"


def seconds(length: float | timedelta | None) -> str:
    """A length of time with the unit that suits it: `0.8 s`, `3 min`, `5.2 h`."""
    if length is None:
        return "–"
    value = length.total_seconds() if isinstance(length, timedelta) else length
    if value < SHORT:
        return f"{format_decimal(round(value, 2 if value < 10 else 0))}\u00a0s"
    if value < SHORT * 60:
        return f"{format_decimal(round(value / 60))}\u00a0min"
    return f"{format_decimal(round(value / 3600, 1 if value < 36_000 else 0))}\u00a0h"


def success_share(outcomes: dict[str, int]) -> float | None:
    """Of what has been settled, the share in step."""
    settled = outcomes["synced"] + outcomes["failed"]
    return outcomes["synced"] / settled if settled else None
