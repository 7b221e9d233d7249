"""`Idempotency-Key`: same key and body, same answer; other body, 422; at the same moment, 409."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, text

from tests.factories import Tenant, Token, make_appointment, make_customer, make_token
from tests.views.api.conftest import System, booking
from webapp import clock
from webapp.models.idempotency_key import LEASE
from webapp.views.api import changes, once

Make = Callable[..., int]


@pytest.fixture
def count(owner_engine: Engine) -> Callable[[str], int]:
    """How many rows a table has."""

    def rows(table: str) -> int:
        with owner_engine.connect() as connection:
            return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())

    return rows


def test_the_same_request_again_gets_the_same_answer_and_books_nothing(
    partner: System, company: Tenant, count: Callable[[str], int]
) -> None:
    first = partner.post("/appointments", booking(company), key="order-7")
    again = partner.post("/appointments", booking(company), key="order-7")

    assert first.status_code == again.status_code == 201
    assert again.data == first.data
    assert again.headers["Location"] == first.headers["Location"]
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (count("appointments"), count("intents")) == (1, 1)


def test_the_answer_stays_the_same_when_the_appointment_has_changed(
    partner: System, company: Tenant
) -> None:
    first = partner.post("/appointments", booking(company), key="k")
    partner.post(f"{first.location.removeprefix('/api/v1')}/cancellations", {"reason": "Ill"})

    assert partner.post("/appointments", booking(company), key="k").data == first.data


def test_how_the_body_is_spelled_does_not_matter(partner: System, company: Tenant) -> None:
    body = booking(company, starts_at="2031-03-01T10:00:00+01:00")
    partner.post("/appointments", body, key="k")
    turned = dict(reversed(body.items())) | {"starts_at": "2031-03-01T09:00:00Z"}

    again = partner.post("/appointments", turned, key="k")

    assert again.headers["Idempotency-Replayed"] == "true"


def test_the_key_with_another_body_is_refused(
    partner: System, company: Tenant, count: Callable[[str], int]
) -> None:
    partner.post("/appointments", booking(company), key="k")

    other = partner.post("/appointments", booking(company, notes="Bring water"), key="k")

    assert (other.status_code, other.get_json()["code"]) == (422, "key_reused")
    assert count("appointments") == 1


def test_the_key_at_another_address_is_refused(
    partner: System, make: Make, company: Tenant
) -> None:
    one, two = make(make_appointment, company), make(make_appointment, company)
    body = {"reason": "Ill"}
    assert partner.post(f"/appointments/{one}/cancellations", body, key="k").status_code == 200

    other = partner.post(f"/appointments/{two}/cancellations", body, key="k")

    assert (other.status_code, other.get_json()["code"]) == (422, "key_reused")


def test_another_token_has_its_own_keys(
    app: Flask, partner: System, make: Callable[..., Any], company: Tenant
) -> None:
    other = System(app, make(make_token, company))
    partner.post("/appointments", booking(company), key="k")

    response = other.post("/appointments", booking(company, notes="Other"), key="k")

    assert response.get_json()["code"] == "already_booked"


def test_what_was_refused_is_refused_again(
    partner: System, make: Make, company: Tenant, count: Callable[[str], int]
) -> None:
    appointment_id = make(make_appointment, company)
    path = f"/appointments/{appointment_id}/reschedulings"
    past = {"starts_at": "2020-01-01T10:00:00Z"}
    first = partner.post(path, past, key="k").get_json()

    again = partner.post(path, past, key="k")

    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.mimetype == "application/problem+json"
    assert {**again.get_json(), "request_id": ""} == {**first, "request_id": ""}


def test_what_was_not_found_is_not_found_again(
    partner: System, make: Make, company: Tenant, count: Callable[[str], int]
) -> None:
    body = booking(company, customer={"id": company.customer_id + 1})
    assert partner.post("/appointments", body, key="k").status_code == 404
    make(make_customer, company)

    again = partner.post("/appointments", body, key="k")

    assert again.status_code == 404
    assert count("appointments") == 0


def test_a_body_that_makes_no_sense_uses_no_key_up(partner: System, company: Tenant) -> None:
    assert partner.post("/appointments", {"notes": "x"}, key="k").status_code == 422
    assert partner.post("/appointments", booking(company), key="k").status_code == 201


@pytest.mark.parametrize("key", ["", "x" * 256, "ä", "a b", "tab\t", "\x7f"])
def test_a_key_is_short_and_printable(partner: System, company: Tenant, key: str) -> None:
    response = partner.post("/appointments", booking(company), key=key)
    assert response.status_code == 422
    assert response.get_json()["errors"][0]["field"] == "Idempotency-Key"


def test_a_key_of_255_characters_will_do(partner: System, company: Tenant) -> None:
    assert partner.post("/appointments", booking(company), key="~" * 255).status_code == 201


def test_at_the_same_moment_one_is_carried_out_and_the_others_wait(
    app: Flask,
    token: Token,
    company: Tenant,
    count: Callable[[str], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One is held inside its change until the others have had their answers."""
    is_inside, may_go_on = threading.Event(), threading.Event()
    real = changes.book_appointment

    def slow(*args: Any, **kwargs: Any) -> Any:
        is_inside.set()
        assert may_go_on.wait(60)
        return real(*args, **kwargs)

    monkeypatch.setattr(changes, "book_appointment", slow)
    answers: list[int] = []

    def first() -> None:
        answers.append(
            System(app, token).post("/appointments", booking(company), key="k").status_code
        )

    thread = threading.Thread(target=first)
    thread.start()
    assert is_inside.wait(60)
    early = [System(app, token).post("/appointments", booking(company), key="k") for _ in range(3)]
    may_go_on.set()
    thread.join(60)

    assert answers == [201]
    for response in early:
        assert (response.status_code, response.get_json()["code"]) == (409, "request_in_progress")
        assert response.headers["Retry-After"] == "1"
    late = System(app, token).post("/appointments", booking(company), key="k")
    assert (late.status_code, late.headers["Idempotency-Replayed"]) == (201, "true")
    assert count("appointments") == 1


def test_many_at_once_book_one(
    app: Flask, token: Token, company: Tenant, count: Callable[[str], int]
) -> None:
    start = threading.Barrier(6)
    codes: list[int] = []

    def run() -> None:
        start.wait(60)
        response = System(app, token).post("/appointments", booking(company), key="k")
        codes.append(response.status_code)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert set(codes) <= {201, 409}
    assert 201 in codes
    assert (count("appointments"), count("intents"), count("idempotency_keys")) == (1, 1, 1)


def _claim_and_die(partner: System, company: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process takes the key, and is never heard of again."""

    class Killed(BaseException):
        pass

    def die(*_args: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(once, "_carry_out", die)
        patch.setattr(once, "release_key", lambda *_args: None)
        with pytest.raises(Killed):
            partner.post("/appointments", booking(company), key="k")


def test_after_a_process_died_the_next_try_goes_on_when_its_lease_is_over(
    partner: System,
    company: Tenant,
    count: Callable[[str], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _claim_and_die(partner, company, monkeypatch)
    assert count("idempotency_keys") == 1
    assert partner.post("/appointments", booking(company), key="k").status_code == 409

    clock.advance(LEASE + timedelta(seconds=1))

    assert partner.post("/appointments", booking(company), key="k").status_code == 201
    assert count("appointments") == 1


def test_whoever_was_slower_than_the_lease_changes_nothing(
    app: Flask,
    partner: System,
    token: Token,
    company: Tenant,
    count: Callable[[str], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While it books, its lease runs out and another try takes over and finishes."""
    body = booking(company)
    real = changes.find_or_404
    codes: list[int] = []

    def overtaken(*args: Any) -> Any:
        if not codes:
            codes.append(0)
            clock.advance(LEASE + timedelta(seconds=1))
            thread = threading.Thread(
                target=lambda: codes.append(
                    System(app, token).post("/appointments", body, key="k").status_code
                )
            )
            thread.start()
            thread.join(60)
        return real(*args)

    monkeypatch.setattr(changes, "find_or_404", overtaken)
    # The search for a twin would refuse it too; here the lease stands alone.
    monkeypatch.setattr(changes, "_refuse_twin", lambda *_args: None)

    response = partner.post("/appointments", body, key="k")

    assert codes == [0, 201]
    assert (response.status_code, response.get_json()["code"]) == (409, "request_in_progress")
    assert (count("appointments"), count("intents")) == (1, 1)


@pytest.mark.usefixtures("as_in_production")
def test_after_a_crash_the_key_is_free_at_once_and_nothing_was_booked(
    partner: System,
    company: Tenant,
    count: Callable[[str], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def crash(*_args: Any) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(changes, "_outcome", crash)
        assert partner.post("/appointments", booking(company), key="k").status_code == 500
    assert (count("appointments"), count("idempotency_keys")) == (0, 0)

    assert partner.post("/appointments", booking(company), key="k").status_code == 201


def test_keys_are_forgotten_after_their_time(
    partner: System, company: Tenant, count: Callable[[str], int]
) -> None:
    partner.post("/appointments", booking(company), key="k")
    clock.advance(timedelta(hours=47))
    other = booking(company, customer={"id": company.customer_id})
    assert partner.post("/appointments", other, key="k").status_code == 422

    clock.advance(timedelta(hours=2))

    assert partner.post("/appointments", other, key="k").status_code == 201
    assert count("idempotency_keys") == 1
