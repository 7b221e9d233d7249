"""A company as the looks want it: everything there is, with names that are too long."""

from datetime import timedelta
from itertools import cycle

from sqlalchemy import Engine, text

from tests.contracts.filling import Row, fill
from tests.factories import (
    Person,
    Tenant,
    make_appointment,
    make_bulk_action,
    make_customer,
    make_delivery,
    make_discrepancy,
    make_incident,
    make_notification,
    make_run,
    make_service,
)
from webapp import clock
from webapp.models.appointment import AppointmentStatus, Origin
from webapp.models.delivery import DeliveryStatus
from webapp.models.discrepancy import DiscrepancyType
from webapp.models.notification import NotificationType
from webapp.models.run import RunStatus
from webapp.models.sync_state import SyncState

LONG = "Donaudampfschifffahrtsgesellschaftskapitän"
"""Stands in every name of the scene: what is the same in two languages and doesn't hold it was not
translated."""

NAMES = (f"Wolfeschlegelsteinhausenbergerdorff-{LONG}", f"Ayşe {LONG} y Ramírez de Arellano {LONG}")
GREAT = 1_234_567
CODES = ("HTTP_409", "DATA_MISMATCH", "SLOT_UNAVAILABLE", "VERIFICATION_ERROR", "TIMEOUT")


def furnish(owner_engine: Engine, company: Tenant, admin: Person) -> dict[str, Row]:
    """Fill the company; inside an application context. Returns a row of every table."""
    findings = _appointments(company, admin)
    make_bulk_action(admin, findings, item_count=GREAT)
    make_incident(company)
    for status in RunStatus:
        is_running = status is RunStatus.RUNNING
        columns = {} if is_running else {"status": status}
        counts = {"compared_count": GREAT, "expected_count": GREAT * 2, "error_code": "TIMEOUT"}
        make_run(company, is_running=is_running, **counts, **columns)
    for status in DeliveryStatus:
        make_delivery(company, status=status, reason=LONG)
    lengthen_names(owner_engine)
    return fill(owner_engine, company.id, word=LONG)


def lengthen_names(owner_engine: Engine) -> None:
    """Of every company, person, customer and service there is."""
    with owner_engine.begin() as connection:
        plain = text("UPDATE customers SET name = :name || id WHERE name NOT LIKE :long")
        connection.execute(plain, {"name": LONG, "long": f"%{LONG}%"})
        for table in ("companies", "users"):
            connection.execute(text(f"UPDATE {table} SET name = :name"), {"name": NAMES[1]})
        connection.execute(text("UPDATE services SET name = :name || id"), {"name": LONG})


def _appointments(company: Tenant, admin: Person) -> list[int]:
    """One in every state of both kinds, most of them flagged; the findings."""
    now = clock.now()
    customer_id = make_customer(company, f"{LONG}@example.org", name=NAMES[0])
    services = cycle([company.service_id, make_service(company, name=LONG, event_type_id=None)])
    codes, types = cycle(CODES), cycle(DiscrepancyType)
    origins, findings = cycle(Origin), []
    for number, (state, status) in enumerate(
        zip(cycle(SyncState), [*AppointmentStatus] * 2, strict=False)
    ):
        starts_at = now + timedelta(days=1, hours=number)
        is_bad = state not in (SyncState.SYNCED, SyncState.PENDING)
        appointment = make_appointment(
            company,
            state=state,
            status=status,
            flagged=is_bad,
            starts_at=starts_at,
            customer_id=customer_id,
            service_id=next(services),
            created_by_origin=next(origins),
            notes=f"{LONG} {LONG}",
        )
        if is_bad:
            findings.append(_finding(company, appointment, starts_at, next(types), next(codes)))
    for type_, code in zip(NotificationType, cycle(CODES), strict=False):
        make_notification(
            admin, appointment, type=type_, parameters={"code": code}, repeat_count=GREAT
        )
    return findings


def _finding(
    company: Tenant, appointment: int, starts_at: object, type_: DiscrepancyType, code: str
) -> int:
    moved = {"base": f"{starts_at}", "ours": f"{starts_at}", "theirs": f"{starts_at}"}
    return make_discrepancy(
        company,
        appointment,
        type_=type_,
        code=code,
        reopened_count=3,
        opened_at=clock.now() - timedelta(days=40),
        evidence={"fields": {"starts_at": {**moved, "moved": "theirs"}}, "detail": LONG},
    )
