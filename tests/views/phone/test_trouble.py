"""Cal.com slow, away, refusing: the caller is answered in time, and nothing is promised twice."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from redis.exceptions import TimeoutError as RedisTimeout

from tests.desk import Desk
from tests.factories import make_appointment, make_service
from tests.views.phone.conftest import Line, at, change_company, rows, weekday, work
from webapp import clock
from webapp.calcom.breaker import Circuit, breaker_state
from webapp.jobs import connection, free_times
from webapp.jobs.queues import connect_for_web
from webapp.models.sync_state import SyncState

Ring = Callable[..., Line]
ERIKA = {"customer_name": "Erika Beispiel"}
AWAY = {"kind": "status", "status": 503}


def wish(hour: int = 10, **more: Any) -> dict[str, Any]:
    return {"date": weekday().isoformat(), "time": f"{hour}:00", **ERIKA, **more}


def test_a_caller_waits_for_cal_com_less_than_a_second_and_for_redis_once(
    outside: Flask, ring: Ring, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is passed on is looked at and not a watch: this machine may be slow."""
    waits, asked = [], []
    real = free_times.open_client

    def open_client(**how: Any) -> Any:
        waits.append(how["hurry_seconds"])
        return real(**how)

    class Hanging(Redis):
        def execute_command(self, *args: Any, **_options: Any) -> Any:
            asked.append(args[0])
            raise RedisTimeout

    monkeypatch.setattr(free_times, "open_client", open_client)
    for module in (free_times, connection):
        monkeypatch.setattr(module, "connect_for_web", lambda _url: Hanging())

    ring().ask("check_availability", **wish())

    assert waits == [outside.extensions["settings"].phone_calcom_seconds]
    assert waits[0] < 1
    assert len(asked) == 1


def test_a_slow_cal_com_keeps_no_caller_waiting_and_does_not_trip_the_breaker(
    outside: Flask, office: Desk, ring: Ring, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a minute there and in the settings, so that a slow machine here is told from waiting."""
    patient = outside.extensions["settings"].model_copy(update={"calcom_call_seconds": 30.0})
    monkeypatch.setitem(outside.extensions, "settings", patient)
    office.cal.fail({"kind": "latency", "seconds": 30.0, "operation": "slots.list"})
    began = time.monotonic()
    answer = ring().ask("book_appointment", **wish())
    took = time.monotonic() - began

    assert answer["reason"] == "noted"
    assert answer["appointment"]["is_confirmed"] is False
    assert "is noted" in answer["message"]
    assert took < 15, f"{took:.2f} s"
    assert ring().ask("check_availability", **wish(11))["reason"] == "calendar_unchecked"
    state = breaker_state(redis, office.company.id, clock.now())
    assert (state.circuit, state.failures) == (Circuit.CLOSED, 0)

    work(outside, office)
    assert len(office.cal.live_bookings()) == 1
    assert rows(outside, office)[0].calcom_sync_status is SyncState.SYNCED


@pytest.mark.parametrize(
    "fault",
    [
        AWAY,
        {"kind": "status", "status": 401},
        {"kind": "rate_limited"},
        {"kind": "reset_before"},
        {"kind": "old_version"},
        {"kind": "status", "status": 502, "body": "html"},
    ],
    ids=lambda fault: str(fault.get("status", fault["kind"])),
)
def test_whatever_keeps_cal_com_from_answering_a_wish_is_noted_once(
    outside: Flask, office: Desk, line: Line, fault: dict[str, Any]
) -> None:
    office.cal.fail({**fault, "operation": "slots.list"})
    noted = line.ask("book_appointment", **wish())
    assert (noted["result"], noted["reason"]) == ("success", "noted")
    assert line.ask("book_appointment", **wish()) == noted
    (row,) = rows(outside, office)
    assert row.calcom_sync_status is SyncState.PENDING
    office.cal.heal()
    assert line.ask("book_appointment", **wish()) == noted


def test_where_policy_forbids_it_nothing_is_taken_unchecked(
    outside: Flask, office: Desk, line: Line
) -> None:
    change_company(outside, office, takes_calls_unchecked=False)
    office.cal.fail(AWAY)
    for name in ("check_availability", "book_appointment"):
        answer = line.ask(name, **wish())
        assert (answer["result"], answer["reason"]) == ("unavailable", "calendar_away")
    assert rows(outside, office) == []


def test_unchecked_a_time_that_we_hold_ourselves_is_taken(
    outside: Flask, office: Desk, ring: Ring
) -> None:
    with outside.app_context():
        make_appointment(
            office.company,
            starts_at=at(weekday(), 10, 15),
            ends_at=at(weekday(), 10, 45),
            sync_initiated_at=clock.now() - timedelta(days=1),
        )
    office.cal.fail(AWAY)
    assert ring().ask("check_availability", **wish(10))["reason"] == "taken"
    answer = ring().ask("book_appointment", **wish(10))
    assert (answer["reason"], answer["slots"]) == ("taken", [])
    assert ring().ask("book_appointment", **wish(11))["reason"] == "noted"
    rival = ring("call_2", "+4915199999999").ask("book_appointment", **wish(11))
    assert rival["reason"] == "taken"


def test_unchecked_the_services_buffers_count(outside: Flask, office: Desk, line: Line) -> None:
    with outside.app_context():
        service_id = make_service(office.company, name="Visit", buffer_after_minutes=20)
        make_appointment(
            office.company,
            service_id=service_id,
            starts_at=at(weekday(), 9, 20),
            ends_at=at(weekday(), 9, 50),
        )
    visit = {"service": "Visit"}
    assert line.ask("book_appointment", **wish(10, **visit))["reason"] == "taken"
    assert line.ask("book_appointment", **wish(11, **visit))["reason"] == "noted"


def test_an_appointment_is_moved_unchecked_too(outside: Flask, office: Desk, line: Line) -> None:
    line.ask("book_appointment", **wish(10))
    work(outside, office)
    office.cal.fail(AWAY)
    moved = line.ask("reschedule_appointment", new_date=weekday().isoformat(), new_time="10:15")
    assert (moved["result"], moved["reason"]) == ("success", "move_noted")
    assert moved["appointment"]["is_confirmed"] is False
    office.cal.heal()
    work(outside, office)
    (booking,) = office.cal.live_bookings()
    assert booking["start"].startswith(rows(outside, office)[0].starts_at.strftime("%Y-%m-%dT%H"))


def test_a_wish_noted_while_cal_com_was_away_arrives_when_it_is_back(
    outside: Flask, office: Desk, line: Line
) -> None:
    office.cal.fail(AWAY)
    line.ask("book_appointment", **wish(10))
    work(outside, office)
    office.cal.heal()
    with outside.app_context():
        office.work_through(10)
    assert len(office.cal.live_bookings()) == 1
    assert office.cal.mails() == ["created"]


def test_without_redis_the_telephone_goes_on(
    outside: Flask, office: Desk, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = connect_for_web("redis://127.0.0.1:9/0")
    for module in ("jobs.free_times", "jobs.connection", "jobs.queues"):
        monkeypatch.setattr(f"webapp.{module}.connect_for_web", lambda _url: nowhere)
    assert line.ask("check_availability", **wish(10))["reason"] == "free"
    assert line.ask("book_appointment", **wish(10))["reason"] == "booked"
    work(outside, office)
    assert len(office.cal.live_bookings()) == 1


def test_a_crash_before_the_answer_is_kept_leaves_no_appointment_to_be_booked_twice(
    outside: Flask, office: Desk, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_args: object, **_kwargs: object) -> None:
        raise SystemError("killed")

    with monkeypatch.context() as patched:
        patched.setattr("webapp.sync.phone.memory.remember", die)
        patched.setitem(outside.config, "PROPAGATE_EXCEPTIONS", False)
        body = {"name": "book_appointment", "args": wish(), "call": {"call_id": "call_1"}}
        body["args"] = {**wish(), "customer_phone": "+4915112345678"}
        assert line.send(body).status_code == 500
    assert rows(outside, office) == []

    assert line.ask("book_appointment", **wish())["reason"] == "booked"
    assert len(rows(outside, office)) == 1
