"""What no honest client sends: a problem that says what is wrong, never a 500, and nothing kept."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, text

from tests.factories import Tenant, make_appointment
from tests.views.api.conftest import System, booking

pytestmark = pytest.mark.usefixtures("as_in_production")

Make = Callable[..., int]

DEEP = "[" * 5000 + "]" * 5000


def _is_kept(owner_engine: Engine) -> int:
    with owner_engine.connect() as connection:
        query = text("SELECT (SELECT count(*) FROM appointments) + (SELECT count(*) FROM intents)")
        return int(connection.execute(query).scalar_one())


@pytest.mark.parametrize(
    "changes",
    [
        {"service_id": 0},
        {"service_id": -1},
        {"service_id": 2**63},
        {"service_id": 10**400},
        {"service_id": 1.5},
        {"service_id": "1"},
        {"service_id": True},
        {"service_id": None},
        {"customer": 1},
        {"customer": None},
        {"customer": []},
        {"customer": {}},
        {"customer": {"id": 10**30}},
        {"customer": {"id": 1, "name": "Both"}},
        {"customer": {"name": "", "email": "a@example.org"}},
        {"customer": {"name": " \t", "email": "a@example.org"}},
        {"customer": {"name": "x" * 201, "email": "a@example.org"}},
        {"customer": {"name": "a\x00b", "email": "a@example.org"}},
        {"customer": {"name": "A"}},
        {"customer": {"name": "A", "email": "no-address"}},
        {"customer": {"name": "A", "email": f"{'a' * 300}@example.org"}},
        {"customer": {"name": "A", "email": "a\x00@example.org"}},
        {"customer": {"name": "A", "email": ""}},
        {"customer": {"name": "A", "phone": "12345"}},
        {"customer": {"name": "A", "phone": "+49\x00301234567"}},
        {"customer": {"name": "A", "phone": "+" + "1" * 5000}},
        {"customer": {"name": "A", "email": "a@example.org", "time_zone": "Mars/Base"}},
        {"customer": {"name": "A", "email": "a@example.org", "time_zone": "../../etc/passwd"}},
        {"customer": {"name": "A", "email": "a@example.org", "language": "fr"}},
        {"starts_at": "9999-12-31T23:59:59Z"},
        {"starts_at": "9999-12-31T23:59:59-23:59"},
        {"starts_at": "0001-01-01T00:00:00+23:59"},
        {"starts_at": "2200-01-01T00:00:00Z"},
        {"starts_at": "2031-02-30T10:00:00Z"},
        {"starts_at": "2031-02-03T24:00:01Z"},
        {"starts_at": "2031-02-03T10:00:00+99:99"},
        {"starts_at": "2031-02-03T10:00:00"},
        {"starts_at": "2031-02-03"},
        {"starts_at": "tomorrow"},
        {"starts_at": "٢٠٣١-02-03T10:00:00Z"},
        {"starts_at": 1924992000},
        {"starts_at": "1924992000"},
        {"starts_at": None},
        {"guests": "a@example.org"},
        {"guests": ["nobody"]},
        {"guests": [f"g{n}@example.org" for n in range(11)]},
        {"guests": [1]},
        {"notes": "x" * 4001},
        {"notes": "a\x00b"},
        {"notes": 5},
        {"status": "confirmed"},
        {"company_id": 2},
    ],
    ids=str,
)
def test_a_booking_that_makes_no_sense_is_refused_field_by_field(
    partner: System, company: Tenant, owner_engine: Engine, changes: dict[str, Any]
) -> None:
    response = partner.post("/appointments", booking(company, **changes), key="k")

    assert response.status_code == 422, response.text
    problem = response.get_json()
    assert problem["code"] == "invalid_request"
    assert problem["errors"][0]["field"].split(".")[0] == next(iter(changes))
    assert _is_kept(owner_engine) == 0


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"nonsense",
        b'{"notes": "\\ud800"}',
        b'{"notes": "\xff\xfe"}',
        b'{"notes": NaN}',
        DEEP.encode(),
        b"\xef\xbb\xbf{}",
        b"{} {}",
    ],
    ids=lambda raw: repr(raw[:20]),
)
def test_what_is_no_json_is_400(partner: System, owner_engine: Engine, raw: bytes) -> None:
    response = partner.post("/appointments", data=raw, content_type="application/json")
    assert response.status_code in (400, 422), response.text
    assert response.get_json()["code"] in ("malformed_request", "invalid_request")
    assert _is_kept(owner_engine) == 0


@pytest.mark.parametrize("raw", [b"null", b"[]", b"0", b'"{}"', b"1e999", DEEP[2000:8000].encode()])
def test_what_is_no_object_is_refused(partner: System, raw: bytes) -> None:
    response = partner.post("/appointments", data=raw, content_type="application/json")
    assert response.status_code in (400, 422)


def test_a_lone_surrogate_never_reaches_the_database(partner: System, company: Tenant) -> None:
    raw = json.dumps(booking(company, notes="\udc80 and \ud83d")).encode()
    response = partner.post("/appointments", data=raw, content_type="application/json")
    assert (response.status_code, response.get_json()["code"]) == (400, "malformed_request")


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "text/json"],
)
def test_only_json_is_taken(partner: System, company: Tenant, content_type: str) -> None:
    raw = json.dumps(booking(company)).encode()
    response = partner.post("/appointments", data=raw, content_type=content_type)
    assert (response.status_code, response.get_json()["code"]) == (415, "unsupported_media_type")


def test_a_body_beyond_the_limit_is_413(partner: System) -> None:
    raw = b'{"notes": "' + b"x" * 70_000 + b'"}'
    response = partner.post("/appointments", data=raw, content_type="application/json")
    assert (response.status_code, response.get_json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=-1",
        "limit=1.0",
        "limit=1_0",
        "limit=%EF%BC%91",
        f"limit={'9' * 5000}",
        "limit=1&limit=2",
        "limit=",
        "order=name",
        "status=unknown",
        "status=",
        "sync_status=1",
        "requires_review=yes",
        "requires_review=1",
        "service_id=x",
        f"service_id={2**64}",
        "customer_id=0",
        "starts_from=2031-01-01",
        "starts_from=2031-01-01T00:00:00+01:00",
        "starts_before=9999-12-31T23:59:59Z",
        "updated_since=yesterday",
        "unknown=1",
        "%ED%A0%80=1",
        "&".join(["status=confirmed"] * 11),
    ],
    ids=lambda query: query[:40],
)
def test_a_query_that_makes_no_sense_is_refused_by_name(partner: System, query: str) -> None:
    response = partner.get(f"/appointments?{query}")
    assert response.status_code == 422, response.text
    named = response.get_json()["errors"][0]["field"].split(".")[0]
    assert named == query.partition("=")[0] or query.startswith("%")


def test_addresses_without_a_query_take_none(
    partner: System, make: Make, company: Tenant, owner_engine: Engine
) -> None:
    appointment_id = make(make_appointment, company)
    for path in ("/stats?x=1", "/services?limit=1", f"/appointments/{appointment_id}?cursor=a"):
        assert partner.get(path).status_code == 422
    path = f"/appointments/{appointment_id}/cancellations?reason=Ill"
    assert partner.post(path, {"reason": "Ill"}).status_code == 422
    assert partner.read(f"/appointments/{appointment_id}")["status"] == "confirmed"


@pytest.mark.parametrize("reason", ["", " ", "x" * 501, "a\x00b", None, 5])
def test_a_reason_is_needed_to_cancel(
    partner: System, make: Make, company: Tenant, reason: Any
) -> None:
    appointment_id = make(make_appointment, company)
    path = f"/appointments/{appointment_id}/cancellations"
    assert partner.post(path, {"reason": reason}).status_code == 422
    assert partner.post(path, {}).status_code == 422
    assert partner.read(f"/appointments/{appointment_id}")["status"] == "confirmed"


def test_problems_repeat_nothing_of_what_was_sent(partner: System, company: Tenant) -> None:
    body = booking(company, customer={"name": "Geheim", "email": "geheim@@example"})
    assert "eheim" not in partner.post("/appointments", body).text


def test_a_hundred_errors_are_cut_short(partner: System) -> None:
    response = partner.post("/appointments", {f"field{number}": 1 for number in range(200)})
    assert response.status_code == 422
    assert len(response.get_json()["errors"]) == 20
