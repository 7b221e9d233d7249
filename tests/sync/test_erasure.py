"""A customer's data is handed out whole, and erased without a hole in what happened (S12.7)."""

import json
from datetime import timedelta
from typing import Any
from urllib.parse import quote_plus

import pytest
from flask import Flask
from sqlalchemy import Engine, text
from sqlalchemy.exc import ProgrammingError

from tests.contracts.filling import OWNED
from tests.factories import (
    Tenant,
    make_appointment,
    make_bulk_action,
    make_customer,
    make_delivery,
    make_discrepancy,
    make_person,
    make_token,
)
from webapp import clock
from webapp.extensions import Base, db
from webapp.models.appointment import AppointmentStatus, BookingAlias
from webapp.models.audit import Actor
from webapp.models.base import fold
from webapp.models.bulk import BulkAction, BulkStatus
from webapp.models.crossing import forget_words_of_customer
from webapp.models.customer import Customer
from webapp.models.delivery import DeliveryStatus
from webapp.models.history import EventKind, HistoryEvent, record_event
from webapp.models.idempotency_key import IdempotencyKey
from webapp.models.intent import Intent, IntentKind, IntentStatus
from webapp.models.phone_answer import PhoneAnswer, PhoneChange
from webapp.models.saved_view import SavedView
from webapp.models.tenancy import as_company
from webapp.models.user import Role
from webapp.sync.customers import find_customer
from webapp.sync.erasure import Erasure, NotErasable, erase_customer, export_customer

WORD = "Quendelmaier"
EMAIL = f"{WORD.lower()}@example.org"
PHONE = "+4930555123"


@pytest.fixture
def acting(engine: Flask, company: Tenant) -> Tenant:
    return company


def make_known_customer(tenant: Tenant) -> tuple[int, int]:
    """A customer whose name stands wherever such a name may stand, with one appointment that is
    over; returns both ids."""
    customer_id = make_customer(tenant, EMAIL, name=WORD, phone=PHONE)
    over = clock.now() - timedelta(days=5)
    appointment_id = make_appointment(
        tenant,
        customer_id=customer_id,
        starts_at=over,
        status=AppointmentStatus.COMPLETED,
        notes=f"{WORD} rang",
        guests=[EMAIL],
        cancellation_reason=f"{WORD} is ill",
        sync_error_message=f"about {WORD}",
        calcom_v2_booking_id="uid-known",
    )
    finding = make_discrepancy(
        tenant,
        appointment_id,
        resolution="dismissed",
        resolved_at=over,
        resolution_note=f"{WORD} said so",
        evidence={"detail": f"{WORD} has an invalid number", "fields": {}},
    )
    body = {"triggerEvent": "BOOKING_CREATED", "payload": {"attendees": [{"name": WORD}]}}
    admin = make_person(tenant, Role.ADMIN)
    make_bulk_action(
        admin,
        [finding],
        note=f"{WORD} said so",
        scope={"text": WORD, "type": "data_mismatch"},
        status=BulkStatus.DONE,
        finished_at=over,
    )
    make_delivery(tenant, appointment_id, body=body)
    make_delivery(tenant, None, body=body, booking_uid="uid-known")
    make_delivery(tenant, None, body=body_of(EMAIL.title()), status=DeliveryStatus.IGNORED)
    make_delivery(tenant, None, body=body_of(PHONE), status=DeliveryStatus.REFUSED)
    token = make_token(tenant)
    with as_company(tenant.id):
        db.session.add_all(
            [
                SavedView(
                    user_id=admin.id,
                    name="Regulars",
                    name_folded="regulars",
                    query=f"text={quote_plus(WORD)}&period=all",
                    created_at=over,
                ),
                SavedView(
                    user_id=admin.id,
                    name=WORD,
                    name_folded=fold(WORD),
                    query="period=all",
                    created_at=over,
                ),
                BookingAlias(
                    appointment_id=appointment_id,
                    calcom_host="x",
                    uid="uid-known",
                    first_seen_at=over,
                ),
                Intent(
                    appointment_id=appointment_id,
                    kind=IntentKind.CANCEL,
                    status=IntentStatus.DONE,
                    origin="admin",
                    reason=f"{WORD} is ill",
                    created_at=over,
                    due_at=over,
                    finished_at=over,
                ),
                PhoneAnswer(
                    call_id="c",
                    function=PhoneChange.BOOK,
                    arguments_hash=b"x",
                    appointment_id=appointment_id,
                    answered_at=over,
                    answer={"said": f"Booked for {WORD}"},
                ),
                IdempotencyKey(
                    token_id=token.id,
                    key="k",
                    request_hash=b"x",
                    created_at=over,
                    status=201,
                    answer={"body": json.dumps({"customer": {"name": WORD, "email": EMAIL}})},
                ),
            ]
        )
        record_event(
            db.session(), appointment_id, EventKind.RESOLVED, at=over, note=f"{WORD} said so"
        )
        record_event(
            db.session(),
            appointment_id,
            EventKind.CANCELLED,
            at=over,
            reason=f"{WORD}",
            mailed=True,
        )
        db.session.commit()
    return customer_id, appointment_id


def body_of(address: str) -> dict[str, Any]:
    """A booking of no service of ours, or one that was refused: it led to no appointment."""
    return {"payload": {"attendees": [{"name": WORD, "email": address}], "notes": "with seats"}}


def erase(tenant: Tenant, customer_id: int) -> Erasure | None:
    with as_company(tenant.id):
        done = erase_customer(
            db.session(), customer_id, actor=Actor.OPERATOR, user_id=None, now=clock.now()
        )
        db.session.commit()
        return done


def places_of(owner_engine: Engine, word: str) -> set[str]:
    """Every table in which a word stands, whatever the column."""
    found = set()
    with owner_engine.connect() as connection:
        for table in [*OWNED, Base.metadata.tables["companies"]]:
            for row in connection.execute(table.select()):
                if word.lower() in repr(tuple(row)).lower():
                    found.add(table.name)
    return found


def test_after_erasing_nothing_in_any_table_names_the_customer(
    acting: Tenant, owner_engine: Engine
) -> None:
    customer_id, _ = make_known_customer(acting)
    assert len(places_of(owner_engine, WORD)) >= 8, "the test's own rows are missing"

    done = erase(acting, customer_id)

    assert places_of(owner_engine, WORD) == set()
    assert places_of(owner_engine, PHONE) == set()
    assert done == Erasure(
        appointments=1, history=2, deliveries=4, phone_answers=1, api_answers=1, mentions=3
    )


def test_a_bulk_action_keeps_what_names_nobody(acting: Tenant) -> None:
    customer_id, _ = make_known_customer(acting)

    erase(acting, customer_id)

    with as_company(acting.id):
        bulk = db.session.query(BulkAction).one()
        assert (bulk.scope, bulk.note) == ({"type": "data_mismatch"}, None)


def test_history_stays_whole_but_for_what_was_typed(acting: Tenant) -> None:
    customer_id, _ = make_known_customer(acting)

    erase(acting, customer_id)

    with as_company(acting.id):
        events = db.session.query(HistoryEvent).order_by(HistoryEvent.id).all()
        assert [(event.kind, event.data) for event in events] == [
            (EventKind.RESOLVED, {}),
            (EventKind.CANCELLED, {"mailed": True}),
        ]
        row = db.session.get_one(Customer, (acting.id, customer_id))
        assert (row.name, row.email, row.phone) == (
            f"#{customer_id}",
            f"{customer_id}@erased.invalid",
            None,
        )
        assert row.erased_at is not None


def test_somebody_elses_words_stay(acting: Tenant, owner_engine: Engine) -> None:
    customer_id, _ = make_known_customer(acting)
    other = make_customer(acting, "other@example.org", name="Nachbarin")
    appointment_id = make_appointment(acting, customer_id=other, notes="Nachbarin rang")
    with as_company(acting.id):
        record_event(
            db.session(), appointment_id, EventKind.BOOKED, at=clock.now(), note="Nachbarin"
        )
        db.session.commit()
    before = places_of(owner_engine, "Nachbarin")

    erase(acting, customer_id)

    assert (
        places_of(owner_engine, "Nachbarin")
        == before
        == {
            "customers",
            "appointments",
            "history_events",
        }
    )


@pytest.mark.parametrize("address", [f"x{EMAIL}", f"{EMAIL}.de", f"{PHONE}9"])
def test_a_webhook_about_an_address_that_only_looks_alike_stays(
    acting: Tenant, owner_engine: Engine, address: str
) -> None:
    customer_id, _ = make_known_customer(acting)
    body = {"payload": {"attendees": [{"email": address}]}}
    make_delivery(acting, None, body=body, status=DeliveryStatus.IGNORED)

    erase(acting, customer_id)

    assert places_of(owner_engine, address) == {"deliveries"}


def test_who_books_again_afterwards_is_a_new_customer(acting: Tenant) -> None:
    customer_id, _ = make_known_customer(acting)

    erase(acting, customer_id)

    with as_company(acting.id):
        assert find_customer(db.session(), email=EMAIL, phone=PHONE) is None


def test_an_appointment_to_come_must_be_cancelled_first(
    acting: Tenant, owner_engine: Engine
) -> None:
    customer_id, _ = make_known_customer(acting)
    make_appointment(acting, customer_id=customer_id)

    with pytest.raises(NotErasable) as refusal:
        erase(acting, customer_id)

    assert (refusal.value.reason, refusal.value.count) == (NotErasable.UPCOMING, 1)
    assert "customers" in places_of(owner_engine, WORD)


@pytest.mark.parametrize("what", ["intent", "delivery", "unattached delivery"])
def test_what_is_under_way_is_finished_first(
    acting: Tenant, owner_engine: Engine, what: str
) -> None:
    customer_id, appointment_id = make_known_customer(acting)
    with as_company(acting.id):
        if what == "intent":
            row = db.session.query(Intent).one()
            row.status, row.finished_at = IntentStatus.WAITING, None
        db.session.commit()
    if what == "unattached delivery":
        make_delivery(
            acting, None, body=body_of(EMAIL), status=DeliveryStatus.RECEIVED, finished_at=None
        )
    if what == "delivery":
        make_delivery(acting, appointment_id, status=DeliveryStatus.RECEIVED, finished_at=None)

    with pytest.raises(NotErasable) as refusal:
        erase(acting, customer_id)

    assert refusal.value.reason == NotErasable.UNDER_WAY
    assert "customers" in places_of(owner_engine, WORD)


def test_twice_is_once_in_the_audit_log(acting: Tenant, owner_engine: Engine) -> None:
    customer_id, _ = make_known_customer(acting)

    erase(acting, customer_id)
    erase(acting, customer_id)

    with owner_engine.connect() as connection:
        rows = connection.execute(
            text("SELECT subject, actor FROM audit_entries WHERE action = 'customer.erased'")
        ).all()
    assert [tuple(row) for row in rows] == [(f"customer:{customer_id}", "operator")]


def test_another_companys_customer_is_nobody(acting: Tenant, other_company: Tenant) -> None:
    customer_id, _ = make_known_customer(acting)

    assert erase(other_company, customer_id) is None
    with as_company(other_company.id):
        assert export_customer(db.session(), customer_id) is None


def test_the_database_takes_words_from_an_erased_customers_history_only(
    acting: Tenant, other_company: Tenant
) -> None:
    """Whoever has taken over the role that serves can't blank the history of the living."""
    customer_id, _ = make_known_customer(acting)

    with as_company(acting.id):
        assert forget_words_of_customer(db.session(), customer_id) == 0
        db.session.get_one(Customer, (acting.id, customer_id)).erased_at = clock.now()
        db.session.commit()
    with as_company(other_company.id):
        assert forget_words_of_customer(db.session(), customer_id) == 0
    with as_company(acting.id), pytest.raises(ProgrammingError, match="permission denied"):
        db.session.execute(
            text("UPDATE history_events SET data = '{}'").execution_options(across_companies=True)
        )


def test_the_export_holds_everything_that_is_kept(acting: Tenant) -> None:
    customer_id, appointment_id = make_known_customer(acting)

    with as_company(acting.id):
        everything: dict[str, Any] | None = export_customer(db.session(), customer_id)

    assert everything is not None
    assert everything["customer"]["email"] == EMAIL
    assert [row["id"] for row in everything["appointments"]] == [appointment_id]
    assert everything["appointments"][0]["guests"] == [EMAIL]
    assert [row["kind"] for row in everything["history"]] == ["resolved", "cancelled"]
    assert len(everything["from_calcom"]) == 4
    assert len(everything["by_phone"]) == len(everything["findings"]) == 1
    json.dumps(everything)
