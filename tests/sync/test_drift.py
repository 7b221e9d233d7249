"""Service and event type, field by field: what differs, what can be put right."""

from dataclasses import replace
from typing import Any

import pytest

from webapp.calcom.payloads import EventType
from webapp.models.service import EventTypeState, Service
from webapp.sync.drift import (
    Deviation,
    deviations,
    drift_of,
    has_drifted,
    is_bindable,
    keep,
    recall,
)

HAIRCUT = EventType(
    id=100, title="Haircut", length_minutes=30, before_buffer_minutes=5, after_buffer_minutes=10
)


def service(**columns: Any) -> Service:
    return Service(
        **{
            "name": "Haircut",
            "duration_minutes": 30,
            "buffer_before_minutes": 5,
            "buffer_after_minutes": 10,
            "price_cents": 4500,
            "currency": "EUR",
            "calcom_event_type_id": 100,
            **columns,
        }
    )


@pytest.mark.parametrize(
    ("ours", "theirs", "found"),
    [
        ({}, {}, []),
        ({}, {"title": "  Haircut "}, []),
        ({}, {"title": "Hair cut"}, [Deviation("name", "Haircut", "Hair cut")]),
        ({}, {"title": "haircut"}, [Deviation("name", "Haircut", "haircut")]),
        ({}, {"length_minutes": 45}, [Deviation("duration_minutes", 30, 45)]),
        ({}, {"length_minutes": 45, "lengths_minutes": (30, 45)}, []),
        (
            {"duration_minutes": 60},
            {"lengths_minutes": (30, 45)},
            [Deviation("duration_minutes", 60, 30)],
        ),
        ({}, {"before_buffer_minutes": 0}, [Deviation("buffer_before_minutes", 5, 0)]),
        ({}, {"after_buffer_minutes": 15}, [Deviation("buffer_after_minutes", 10, 15)]),
        ({}, {"price": None, "currency": "usd"}, []),
        ({}, {"price": 0.0, "currency": "usd"}, []),
        ({}, {"price": 4500.0, "currency": "eur"}, []),
        ({}, {"price": 5000.0, "currency": "eur"}, [Deviation("price_cents", 4500, 5000, False)]),
        ({}, {"price": 4500.0, "currency": "usd"}, [Deviation("currency", "EUR", "USD", False)]),
        (
            {},
            {"title": "Cut", "length_minutes": 20},
            [Deviation("name", "Haircut", "Cut"), Deviation("duration_minutes", 30, 20)],
        ),
        ({}, {"hidden": True, "description": "New", "slug": "cut"}, []),
    ],
)
def test_services_are_compared_field_by_field(
    ours: dict[str, Any], theirs: dict[str, Any], found: list[Deviation]
) -> None:
    assert deviations(service(**ours), replace(HAIRCUT, **theirs)) == found


def test_a_price_alone_is_no_drift_for_nothing_can_write_it() -> None:
    found = deviations(service(), replace(HAIRCUT, price=1.0, currency="eur"))
    assert [each.field for each in found] == ["price_cents"]
    assert not has_drifted(found)
    assert has_drifted(deviations(service(), replace(HAIRCUT, length_minutes=20)))


@pytest.mark.parametrize(
    ("kept", "bindable"),
    [(None, True), ({}, True), ({"is_seated": True}, False), ({"is_recurring": True}, False)],
)
def test_seated_and_recurring_event_types_are_recognised(
    kept: dict[str, Any] | None, bindable: bool
) -> None:
    assert is_bindable(kept) is bindable


def test_what_is_kept_of_an_event_type_says_the_same_later() -> None:
    event_type = replace(HAIRCUT, lengths_minutes=(30, 45), price=12.0, is_seated=True)
    assert recall(keep(event_type)) == event_type


def test_a_change_made_here_shows_without_asking_cal_com_again() -> None:
    row = service(event_type_state=EventTypeState.PRESENT, event_type_seen=keep(HAIRCUT))
    assert drift_of(row) == []
    row.duration_minutes = 40
    assert drift_of(row) == [Deviation("duration_minutes", 40, 30)]


def test_of_an_event_type_that_is_gone_nothing_is_compared() -> None:
    row = service(event_type_state=EventTypeState.GONE, event_type_seen=None, name="Other")
    assert drift_of(row) == []
