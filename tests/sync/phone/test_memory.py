"""A change and its answer stand or fall together, and the database holds each once."""

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from tests.factories import Tenant, make_appointment
from webapp import clock
from webapp.extensions import db
from webapp.models.phone_answer import PhoneAnswer, PhoneChange
from webapp.models.tenancy import as_company
from webapp.sync.phone import memory


def test_the_database_holds_a_wish_of_a_call_once(engine: Flask, company: Tenant) -> None:
    appointment_id = make_appointment(company)
    with as_company(company.id):
        for _ in range(2):
            db.session.add(_answer(appointment_id))
        with pytest.raises(IntegrityError, match="uq_phone_answers"):
            db.session.flush()


def test_another_companys_call_of_the_same_id_is_another_call(
    engine: Flask, company: Tenant, other_company: Tenant
) -> None:
    appointment_id = make_appointment(company)
    wish = memory.wish("call_1", PhoneChange.BOOK, {"at": clock.now().date()})
    with as_company(company.id):
        memory.remember(db.session(), wish, appointment_id, {"said": "so"}, now=clock.now())
        db.session.commit()
        found = memory.recall(db.session(), wish)
        assert found is not None
        assert found.answer == {"said": "so"}
    with as_company(other_company.id):
        assert memory.recall(db.session(), wish) is None


def test_what_was_answered_long_ago_is_forgotten(engine: Flask, company: Tenant) -> None:
    appointment_id = make_appointment(company)
    with as_company(company.id):
        for number in (1, 2):
            wish = memory.wish(f"call_{number}", PhoneChange.BOOK, {})
            memory.remember(db.session(), wish, appointment_id, {}, now=clock.now())
            db.session.commit()
            clock.advance(memory.KEPT * 1.1)
        assert list(db.session.scalars(select(PhoneAnswer.call_id))) == ["call_2"]


def test_a_wish_is_what_was_understood_in_whatever_order() -> None:
    one = memory.wish("c", PhoneChange.BOOK, {"a": 1, "b": None})
    assert one == memory.wish("c", PhoneChange.BOOK, {"b": None, "a": 1})
    assert one != memory.wish("c", PhoneChange.BOOK, {"a": 1, "b": 0})
    assert one != memory.wish("d", PhoneChange.BOOK, {"a": 1, "b": None})
    assert one != memory.wish("c", PhoneChange.CANCEL, {"a": 1, "b": None})


def _answer(appointment_id: int) -> PhoneAnswer:
    return PhoneAnswer(
        call_id="call_1",
        function=PhoneChange.BOOK,
        arguments_hash=b"x",
        appointment_id=appointment_id,
        answered_at=clock.now(),
        answer={},
    )
