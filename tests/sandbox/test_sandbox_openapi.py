"""Answers against Cal.com's own OpenAPI document, where that file is at hand."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from sandbox_cast import CONSULTATION, EVENT_TYPES, HAIRCUT, JO, SLOTS, Answer, Caller

DOCUMENT = Path(__file__).parents[2] / ".." / "shared" / "calcom" / "openapi-v2-subset.json"

pytestmark = pytest.mark.skipif(
    not DOCUMENT.exists(),
    reason="Cal.com's OpenAPI subset isn't there, so no answer was validated against it",
)
# Where the document is wrong about the service: these are sent as null, or with another type.
NULLABLE = {
    "successRedirectUrl",
    "forwardParamsSuccessRedirect",
    "recurrence",
    "seatsPerTimeSlot",
    "slotInterval",
    "payloadTemplate",
    "secret",
    "updatedAt",
}
# Said to be objects, but sent as booleans.
FLAGS = {"isDefault", "required"}


def loosened(schema: Any, name: str = "") -> Any:
    """The document's schema in today's JSON Schema, with what is known to be null allowed.

    `oneOf` is read as `anyOf`: the document's alternatives don't exclude each other.
    """
    if isinstance(schema, list):
        return [loosened(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if name == "users":
        return {"type": "array"}
    changed = {
        "anyOf" if key == "oneOf" else key: loosened(each)
        for key, each in schema.items()
        if key not in ("example", "properties")
    }
    if "properties" in schema:
        properties = schema["properties"].items()
        changed["properties"] = {prop: loosened(each, prop) for prop, each in properties}
    if changed.pop("nullable", False) or name in NULLABLE:
        return {"anyOf": [changed, {"type": "null"}]}
    return {} if name in FLAGS else changed


def check(answer: Answer, path: str, method: str) -> None:
    document = json.loads(DOCUMENT.read_text())
    operation = document["paths"][path][method]
    media = operation["responses"][str(answer.status_code)]["content"]["application/json"]
    schema = loosened(media["schema"]) | {
        "components": {"schemas": loosened(document["components"]["schemas"])}
    }
    errors = Draft202012Validator(schema).iter_errors(answer.json())
    assert [f"{error.json_path}: {error.message[:300]}" for error in errors] == []


def test_bookings_are_as_documented(cal: Caller) -> None:
    created = cal.create(guests=["al@example.org"], metadata={"ours": "41"})
    check(created, "/v2/bookings", "post")
    uid = created.json()["data"]["uid"]
    check(cal.get(uid), "/v2/bookings/{bookingUid}", "get")
    moved = cal.move(uid, reschedulingReason="Late")
    check(moved, "/v2/bookings/{bookingUid}/reschedule", "post")
    cancelled = cal.cancel(moved.json()["data"]["uid"])
    check(cancelled, "/v2/bookings/{bookingUid}/cancel", "post")
    check(cal.api("GET", "/bookings"), "/v2/bookings", "get")


def test_seated_and_recurring_bookings_are_as_documented(cal: Caller) -> None:
    cal.steer("POST", "/event-types", {"id": HAIRCUT, "occurrences": 2})
    check(cal.create("2026-04-01T09:00:00Z"), "/v2/bookings", "post")
    cal.steer("POST", "/event-types", {"id": HAIRCUT, "occurrences": None, "seatsPerTimeSlot": 2})
    check(cal.create(), "/v2/bookings", "post")
    check(cal.api("GET", "/bookings"), "/v2/bookings", "get")


def test_confirmed_declined_and_absent_are_as_documented(cal: Caller) -> None:
    first = cal.booked(eventTypeId=CONSULTATION)["uid"]
    second = cal.booked("2026-03-03T09:00:00Z", eventTypeId=CONSULTATION)["uid"]
    path = "/v2/bookings/{bookingUid}"
    check(cal.api("POST", f"/bookings/{first}/confirm"), f"{path}/confirm", "post")
    declined = cal.api("POST", f"/bookings/{second}/decline", json={"reason": "Full"})
    check(declined, f"{path}/decline", "post")
    cal.steer("POST", "/clock", {"set": "2026-03-02T09:05:00Z"})
    body = {"attendees": [{"email": JO["email"], "absent": True}]}
    absent = cal.api("POST", f"/bookings/{first}/mark-absent", json=body)
    check(absent, f"{path}/mark-absent", "post")


def test_me_event_types_and_slots_are_as_documented(cal: Caller) -> None:
    check(cal.api("GET", "/me"), "/v2/me", "get")
    one, path = f"/event-types/{HAIRCUT}", "/v2/event-types/{eventTypeId}"
    check(cal.api("GET", one, version=EVENT_TYPES), path, "get")
    patched = cal.api("PATCH", one, version=EVENT_TYPES, json={"hidden": True})
    check(patched, path, "patch")
    check(cal.api("GET", "/event-types", version=EVENT_TYPES), "/v2/event-types", "get")


def test_slots_look_like_the_documents_example(cal: Caller) -> None:
    document = json.loads(DOCUMENT.read_text())
    media = document["paths"]["/v2/slots"]["get"]["responses"]["200"]["content"]
    example = media["application/json"]["schema"]["oneOf"][0]["example"]
    params = {"eventTypeId": HAIRCUT, "start": "2026-03-02", "end": "2026-03-02"}
    params["timeZone"] = "Europe/Rome"
    answer = cal.api("GET", "/slots", version=SLOTS, params=params).json()
    (day, slots), *_ = answer["data"].items()
    (_, examples), *_ = example["data"].items()
    assert set(answer) == set(example)
    assert day == "2026-03-02"
    assert set(slots[0]) == set(examples[0])
    assert len(slots[0]["start"]) == len(examples[0]["start"])


def test_webhooks_are_as_documented_but_for_their_text_ids(cal: Caller) -> None:
    body = {"subscriberUrl": "http://127.0.0.1:9/x", "triggers": ["BOOKING_CREATED"]}
    created = cal.api("POST", "/webhooks", version=None, json={**body, "active": True})
    schemas = json.loads(DOCUMENT.read_text())["components"]["schemas"]
    schema = loosened(schemas["UserWebhookOutputDto"])
    # The document says number; the service sends a string.
    schema["properties"]["id"] = {"type": "string"}
    assert list(Draft202012Validator(schema).iter_errors(created.json()["data"])) == []
