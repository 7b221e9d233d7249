"""What the database itself says of intents, whatever the code does."""

import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from tests.factories import Tenant, make_appointment
from webapp import clock
from webapp.extensions import db
from webapp.models.appointment import Appointment, Origin
from webapp.models.customer import Customer
from webapp.models.intent import Intent, IntentKind, IntentStatus
from webapp.models.service import Service
from webapp.models.tenancy import as_company
from webapp.sync.booking import book_appointment

pytestmark = pytest.mark.usefixtures("engine")


@pytest.fixture
def acting(engine: Flask, company: Tenant) -> Iterator[Tenant]:
    with as_company(company.id):
        yield company


def intent(appointment_id: int, status: IntentStatus, **columns: Any) -> Intent:
    is_held = status is IntentStatus.IN_FLIGHT
    now = clock.now()
    return Intent(
        appointment_id=appointment_id,
        kind=IntentKind.CREATE,
        origin=Origin.ADMIN,
        status=status,
        created_at=now,
        due_at=now,
        **{
            "lease_token": uuid.uuid4() if is_held else None,
            "lease_until": now + timedelta(seconds=40) if is_held else None,
            **columns,
        },
    )


@pytest.mark.parametrize("status", [IntentStatus.IN_FLIGHT, IntentStatus.WAITING])
def test_an_appointment_has_one_intent_in_flight_and_one_waiting_at_most(
    company: Tenant, status: IntentStatus
) -> None:
    appointment_id = make_appointment(company)
    with as_company(company.id):
        db.session.add(intent(appointment_id, status))
        db.session.flush()
        db.session.add(intent(appointment_id, status))
        with pytest.raises(IntegrityError, match="uq_intents_one_"):
            db.session.flush()
        db.session.rollback()


def test_what_is_in_flight_has_a_lease(company: Tenant) -> None:
    appointment_id = make_appointment(company)
    with as_company(company.id):
        db.session.add(intent(appointment_id, IntentStatus.IN_FLIGHT, lease_token=None))
        with pytest.raises(IntegrityError, match="in_flight_has_lease"):
            db.session.flush()
        db.session.rollback()


def test_an_appointment_and_its_intent_come_together_or_not_at_all(acting: Tenant) -> None:
    def book() -> None:
        book_appointment(
            db.session(),
            customer=db.session.get_one(Customer, (acting.id, acting.customer_id)),
            service=db.session.get_one(Service, (acting.id, acting.service_id)),
            starts_at=clock.now() + timedelta(days=2),
            origin=Origin.ADMIN,
            now=clock.now(),
        )

    def stored() -> tuple[int, int]:
        found = [len(db.session.scalars(select(each)).all()) for each in (Appointment, Intent)]
        return found[0], found[1]

    book()
    db.session.rollback()
    assert stored() == (0, 0)
    book()
    db.session.commit()
    assert stored() == (1, 1)
