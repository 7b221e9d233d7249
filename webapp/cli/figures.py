"""A company's figures at a glance, and one appointment compared with Cal.com now."""

from typing import Any

import click
from flask.cli import AppGroup, with_appcontext
from sqlalchemy import func, select

from webapp import clock
from webapp.cli.asking import acting_for, each_company
from webapp.cli.tables import json_option, show_one, show_rows
from webapp.extensions import db
from webapp.insight.stats import count_cards
from webapp.jobs import verification
from webapp.models.appointment import Appointment
from webapp.models.company import Company
from webapp.models.discrepancy import Discrepancy
from webapp.models.history import timeline
from webapp.models.intent import Attempt, Intent
from webapp.models.run import latest_run
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import as_company, require_company_id
from webapp.sync.pausing import waiting_changes
from webapp.sync.verify import request_verification

TYPED = frozenset({"reason", "note", "detail"})

appointment = AppGroup("appointment", help="One appointment.")


@click.command("stats")
@click.argument("slug", required=False)
@json_option
@with_appcontext
def stats(slug: str | None, as_json: bool) -> None:
    """The overview's figures of every company: the last 30 days and the future."""
    rows = [_figures(company_id) for company_id in each_company(slug)]
    show_rows(rows, as_json=as_json, nothing="no company")


@appointment.command("verify")
@click.argument("slug")
@click.argument("appointment_id", type=int)
@json_option
def verify_appointment_command(slug: str, appointment_id: int, as_json: bool) -> None:
    """Compare one appointment with Cal.com now, in this process; exits 1 unless both agree."""
    with acting_for(slug):
        company_id = require_company_id()
        row = db.session.get(Appointment, (company_id, appointment_id))
        if row is None:
            raise click.ClickException(f"{slug} has no appointment {appointment_id}")
        request_verification(db.session(), row, now=clock.now(), user_id=None)
        db.session.commit()
    verification.verify(company_id, appointment_id)
    with as_company(company_id):
        row = db.session.get_one(Appointment, (company_id, appointment_id))
        show_one(_state_of(row), as_json=as_json)
        agrees = row.calcom_sync_status is SyncState.SYNCED
    raise SystemExit(0 if agrees else 1)


@appointment.command("history")
@click.argument("slug")
@click.argument("appointment_id", type=int)
@json_option
def show_history_command(slug: str, appointment_id: int, as_json: bool) -> None:
    """What happened to one appointment, and every try to tell Cal.com; newest first."""
    with acting_for(slug):
        if db.session.get(Appointment, (require_company_id(), appointment_id)) is None:
            raise click.ClickException(f"{slug} has no appointment {appointment_id}")
        rows = [*_events(appointment_id), *_tries(appointment_id)]
    rows.sort(key=lambda row: str(row["at"]), reverse=True)
    show_rows(rows, as_json=as_json, nothing="nothing happened to it")


def _events(appointment_id: int) -> list[dict[str, object]]:
    return [
        {
            "at": event.at,
            "what": event.kind.value,
            "origin": event.origin.value,
            "intent": event.intent_id,
            "delivery": event.delivery_id,
            "details": _details(event.data),
        }
        for event in timeline(db.session(), appointment_id)
    ]


def _tries(appointment_id: int) -> list[dict[str, object]]:
    rows = db.session.execute(
        select(Attempt, Intent.origin)
        .join(Intent, (Intent.company_id == Attempt.company_id) & (Intent.id == Attempt.intent_id))
        .where(Attempt.company_id == require_company_id(), Intent.appointment_id == appointment_id)
        .order_by(Attempt.id.desc())
        .limit(200)
    )
    return [
        {
            "at": attempt.started_at,
            "what": "try",
            "origin": origin.value,
            "intent": attempt.intent_id,
            "delivery": None,
            "details": f"calls={attempt.operations or 'none'}, outcome={attempt.outcome or 'lost'}",
        }
        for attempt, origin in rows
    ]


def _details(data: dict[str, Any]) -> str:
    """Codes and instants; what people typed stays out of the terminal."""
    plain = {name: value for name, value in data.items() if name not in TYPED}
    return ", ".join(f"{name}={value}" for name, value in plain.items())


def _state_of(row: Appointment) -> dict[str, object]:
    return {
        "appointment": row.id,
        "sync": row.calcom_sync_status.value,
        "booking": row.calcom_v2_booking_id,
        "verified_at": row.sync_verified_at,
        "needs_review": row.requires_manual_review,
        "code": row.sync_error_code,
        "why": row.sync_error_message,
    }


def _figures(company_id: int) -> dict[str, object]:
    company = db.session.get_one(Company, company_id)
    cards = count_cards(db.session(), clock.now(), company.zone)
    run = latest_run(db.session())
    return {
        "company": company.slug,
        "synced": cards.synced,
        "pending": cards.pending,
        "review": cards.review,
        "failures": cards.failures,
        "open_findings": _open_findings(),
        "changes_under_way": waiting_changes(db.session()),
        "last_verification": run.started_at if run else None,
        "its_result": run.status.value if run else None,
    }


def _open_findings() -> int:
    query = select(func.count()).where(
        Discrepancy.company_id == require_company_id(), Discrepancy.resolved_at.is_(None)
    )
    return db.session.scalar(query) or 0
