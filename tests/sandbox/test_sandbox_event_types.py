"""Event types and slots (API facts, §3 and §4)."""

from typing import Any

import pytest
from sandbox_cast import (
    BEN_KEY,
    BENS_MASSAGE,
    CONSULTATION,
    EVENT_TYPES,
    HAIRCUT,
    NINE,
    SLOTS,
    Answer,
    Caller,
    message,
)

PATH = f"/event-types/{HAIRCUT}"


def patch(cal: Caller, body: dict[str, Any], *, version: str | None = EVENT_TYPES) -> Answer:
    return cal.api("PATCH", PATH, version=version, json=body)


def slots(cal: Caller, **params: Any) -> Answer:
    params = {"eventTypeId": HAIRCUT, "start": "2026-03-02", "end": "2026-03-02", **params}
    return cal.api("GET", "/slots", key=None, version=SLOTS, params=params)


def test_all_event_types_of_the_key_come_without_paging(cal: Caller) -> None:
    answer = cal.api("GET", "/event-types", version=EVENT_TYPES).json()
    assert [each["id"] for each in answer["data"]] == [HAIRCUT, CONSULTATION]
    assert "pagination" not in answer


def test_an_event_type_has_no_updated_at(cal: Caller) -> None:
    event_type = cal.api("GET", PATH, version=EVENT_TYPES).json()["data"]
    assert (event_type["title"], event_type["lengthInMinutes"]) == ("Haircut", 30)
    assert "updatedAt" not in event_type


def test_a_patch_is_partial(cal: Caller) -> None:
    body = {"lengthInMinutes": 40, "beforeEventBuffer": 5, "hidden": True}
    changed = patch(cal, body).json()["data"]
    assert {name: changed[name] for name in body} == body
    assert changed["title"] == "Haircut"
    assert cal.api("GET", PATH, version=EVENT_TYPES).json()["data"] == changed


def test_price_and_currency_cannot_be_written(cal: Caller) -> None:
    cal.steer("POST", "/event-types", {"id": HAIRCUT, "price": 2500, "currency": "eur"})
    answer = patch(cal, {"price": 1, "currency": "usd"})
    assert answer.status_code == 200
    assert (answer.json()["data"]["price"], answer.json()["data"]["currency"]) == (2500, "eur")


def test_locations_and_booking_fields_are_replaced_whole(cal: Caller) -> None:
    for link in ("https://one.example", "https://two.example"):
        locations = [{"type": "link", "link": link, "public": True}]
        assert patch(cal, {"locations": locations}).json()["data"]["locations"] == locations
    fields = [{"type": "text", "slug": "plate", "label": "Plate", "required": False}]
    assert patch(cal, {"bookingFields": fields}).json()["data"]["bookingFields"] == fields


def test_only_the_owner_may_read_or_patch(cal: Caller) -> None:
    answer = cal.api("PATCH", PATH, key=BEN_KEY, version=EVENT_TYPES, json={"title": "Mine"})
    assert answer.status_code == 403
    assert cal.api("GET", PATH, key=BEN_KEY, version=EVENT_TYPES).status_code == 403
    assert cal.api("GET", "/event-types/999", version=EVENT_TYPES).status_code == 404


def test_without_the_version_header_the_names_are_old(cal: Caller) -> None:
    old = cal.api("GET", PATH, version=None).json()["data"]
    assert old["length"] == 30
    assert "lengthInMinutes" not in old


def test_without_the_version_header_a_patch_ignores_the_new_names(cal: Caller) -> None:
    answer = patch(cal, {"lengthInMinutes": 40, "beforeEventBuffer": 5}, version=None)
    assert (answer.status_code, answer.json()["data"]["length"]) == (200, 30)
    assert patch(cal, {"length": 50}, version=None).json()["data"]["length"] == 50


@pytest.mark.parametrize(
    "body",
    [
        {"lengthInMinutes": 0},
        {"lengthInMinutes": "30"},
        {"lengthInMinutes": True},
        {"beforeEventBuffer": -5},
        {"title": None},
        {"hidden": "yes"},
    ],
)
def test_a_wrong_patch_is_400(cal: Caller, body: dict[str, Any]) -> None:
    assert patch(cal, body).status_code == 400


def test_slots_are_listed_by_day_in_the_zone_asked_for(cal: Caller) -> None:
    days = slots(cal).json()["data"]
    assert list(days) == ["2026-03-02"]
    assert days["2026-03-02"][0] == {"start": "2026-03-02T08:00:00.000Z"}
    local = slots(cal, timeZone="Europe/Berlin").json()["data"]["2026-03-02"]
    assert local[0] == {"start": "2026-03-02T09:00:00.000+01:00"}
    ranges = slots(cal, format="range").json()["data"]["2026-03-02"]
    assert ranges[0]["end"] == "2026-03-02T08:30:00.000Z"


def test_a_booked_slot_is_not_listed_unless_it_is_the_one_that_moves(cal: Caller) -> None:
    uid = cal.booked(NINE)["uid"]
    taken = {"start": "2026-03-02T09:00:00.000Z"}
    assert taken not in slots(cal).json()["data"]["2026-03-02"]
    assert taken in slots(cal, bookingUidToReschedule=uid).json()["data"]["2026-03-02"]


def test_a_listed_slot_is_no_promise(cal: Caller) -> None:
    slot = slots(cal).json()["data"]["2026-03-02"][0]["start"]
    cal.booked(slot)
    again = cal.create(slot, attendee={"name": "Al", "email": "al@x.org", "timeZone": "UTC"})
    assert again.status_code == 400


def test_slots_need_an_event_type_and_a_range(cal: Caller) -> None:
    assert slots(cal, eventTypeId="x").status_code == 400
    assert slots(cal, eventTypeId=999).status_code == 404
    assert slots(cal, start="soon").status_code == 400
    assert slots(cal, timeZone="Berlin").status_code == 400


def test_slots_of_an_older_version_have_another_shape(cal: Caller) -> None:
    params = {"eventTypeId": BENS_MASSAGE, "start": "2026-03-02", "end": "2026-03-02"}
    old = cal.api("GET", "/slots", version=None, params=params).json()["data"]
    assert old["slots"]["2026-03-02"][0]["time"] == "2026-03-02T08:00:00.000Z"
    assert message(cal.api("GET", "/slots", version=EVENT_TYPES, params=params)).startswith(
        "Cannot"
    )
