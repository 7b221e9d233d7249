"""Who is let in, and what is no request: signature, time, size and shape; and what nobody sane
sends with a valid signature is answered or refused, and changes nothing."""

import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from werkzeug.test import TestResponse

from tests.factories import Tenant
from tests.views.phone.conftest import NUMBER, Line, weekday
from webapp import clock
from webapp.views.phone.functions import FUNCTIONS
from webapp.views.phone.signatures import HEADER, sign, verify

KEY = "key-sonnenschein"
RAW = json.dumps({"name": "find_appointments", "args": {}, "call": {"call_id": "c"}}).encode()
FUZZ = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
NOTHING = {"appointments": 0, "customers": 2, "intents": 0, "phone_answers": 0, "companies": 2}


@pytest.fixture
def line(outside: Flask, company: Tenant) -> Line:
    """A company whose Cal.com nobody answers for: none of this gets so far."""
    return Line(outside, company)


def count(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        return {
            table: int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())
            for table in NOTHING
        }


def test_the_signature_is_over_body_and_timestamp_as_retell_makes_it(line: Line) -> None:
    digits = str(int(clock.now().timestamp() * 1000))
    digest = hmac.new(KEY.encode(), RAW + digits.encode(), hashlib.sha256).hexdigest()
    assert line.post(RAW, {"X-Retell-Signature": f"v={digits},d={digest}"}).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "no-secret-provided",
        "v=,d=",
        f"v=1,d={'0' * 64}",
        f"d={'0' * 64},v=1",
        f"v={'9' * 5000},d={'0' * 64}",
        f"v=\u0661,d={'0' * 64}",
    ],
)
def test_what_is_no_signature_is_401(line: Line, header: str | None) -> None:
    headers = {} if header is None else {HEADER: header.encode().decode("latin-1")}
    assert line.post(RAW, headers).status_code == 401


def test_another_key_body_or_instant_is_401(line: Line) -> None:
    good = sign(RAW, KEY, clock.now())
    digits = good[2:15]
    moved = good.replace(digits, str(int(digits) + 1))
    assert line.post(RAW, {HEADER: sign(RAW, "key-blau", clock.now())}).status_code == 401
    assert line.post(RAW + b" ", {HEADER: good}).status_code == 401
    assert line.post(RAW, {HEADER: moved}).status_code == 401
    assert line.post(RAW, {HEADER: good.upper()}).status_code == 401
    assert line.post(RAW, {HEADER: good}).status_code == 200


@pytest.mark.parametrize(
    ("seconds", "is_taken"), [(0, True), (299, True), (301, False), (-299, True), (-301, False)]
)
def test_five_minutes_are_tolerated_either_way(seconds: int, is_taken: bool) -> None:
    now = clock.now()
    signature = sign(RAW, KEY, now - timedelta(seconds=seconds))
    assert verify(RAW, signature, KEY, now) is is_taken
    assert not verify(RAW, signature, None, now)
    assert not verify(RAW, signature, "", now)


def test_a_company_without_a_key_lets_nobody_in(
    outside: Flask, line: Line, owner_engine: Engine
) -> None:
    with owner_engine.begin() as connection:
        connection.execute(text("UPDATE companies SET retell_api_key = NULL"))
    assert line.post(RAW, {HEADER: sign(RAW, "", clock.now())}).status_code == 401
    with owner_engine.begin() as connection:
        connection.execute(text("UPDATE companies SET retell_api_key = 'v1.gone.AAAA'"))
    assert line.post(RAW, {HEADER: sign(RAW, KEY, clock.now())}).status_code == 401


def test_bad_signatures_are_audited_but_do_not_fill_the_log(
    line: Line, owner_engine: Engine
) -> None:
    for _ in range(5):
        assert line.post(RAW, {}).status_code == 401
    assert _audited(owner_engine) == 1
    clock.advance(timedelta(minutes=6))
    line.post(RAW, {})
    assert _audited(owner_engine) == 2


def _audited(engine: Engine) -> int:
    query = text("SELECT count(*) FROM audit_entries WHERE action = 'phone.bad_signature'")
    with engine.connect() as connection:
        return int(connection.execute(query).scalar_one())


def test_an_address_that_is_nobodys_is_404_and_cal_coms_token_opens_nothing(
    line: Line, company: Tenant
) -> None:
    headers = {HEADER: sign(RAW, KEY, clock.now())}
    assert line.post(RAW, headers, token="nobody").status_code == 404
    assert line.post(RAW, headers, token=company.webhook_token).status_code == 404


def test_a_body_that_is_too_large_is_413(line: Line) -> None:
    assert line.send_raw(b" " * 1_048_577).status_code == 413


SHAPES: list[tuple[bytes, str]] = [
    (b"", "not JSON"),
    (b"{", "not JSON"),
    (b"\xff\xfe", "not JSON"),
    (b"[" * 200_000, "not JSON"),
    (b'{"name": NaN}', "not JSON"),
    (b'{"n": ' + b"9" * 5000 + b"}", "not JSON"),
    (b"[]", "an object"),
    (b"null", "an object"),
    (b'{"args": {}}', "name has to be one of"),
    (b'{"name": "transfer_money", "call": {"call_id": "c"}}', "name has to be one of"),
    (b'{"name": ["x"], "call": {"call_id": "c"}}', "name has to be one of"),
    (b'{"name": "find_appointments", "args": [], "call": {"call_id": "c"}}', "args"),
    (b'{"name": "find_appointments", "args": {}}', "call_id"),
    (b'{"name": "find_appointments", "args": {}, "call": {"call_id": 7}}', "call_id"),
    (b'{"name": "find_appointments", "call": {"call_id": "' + b"x" * 201 + b'"}}', "call_id"),
]


@pytest.mark.parametrize(("raw", "words"), SHAPES, ids=range(len(SHAPES)))
def test_what_is_no_request_is_422_and_says_what_is_missing(
    line: Line, owner_engine: Engine, raw: bytes, words: str
) -> None:
    response = line.send_raw(raw)
    assert response.status_code == 422
    assert words in response.get_json()["message"]


def test_only_a_post_is_a_request(outside: Flask, company: Tenant) -> None:
    path = f"/webhooks/retell/{company.phone_token}"
    assert outside.test_client().get(path).status_code == 405


HOSTILE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.just(10**4000),
    st.floats(),
    st.text(),
    st.sampled_from(
        [
            "\x00",
            "a\x00b",
            "\ud800",
            "9999-12-31",
            "9999-12-31T23:59:59-23:59",
            "0001-01-01T00:00:00+23:59",
            "2199-12-31T23:59:59+00:00",
            "2027-03-28T02:30:00[Mars/Olympus]",
            "24:61",
            "29.2.",
            "31. Februar",
            "today",
            "übermorgen",
            "' OR 1=1 --",
            "%(service)s %s {0}",
            "+" + "9" * 300,
            "-1",
            "9" * 25,
        ]
    ),
    st.recursive(st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)),
)
NAMES = ["service", "date", "time", "start", "new_date", "new_time", "new_start"]
NAMES += ["current_date", "current_time", "appointment_id", "reason"]
NAMES += ["customer_name", "customer_email", "customer_phone"]
ARGS = st.dictionaries(st.sampled_from(NAMES) | st.text(), HOSTILE, max_size=8)
CALL = st.fixed_dictionaries(
    {"call_id": st.just("call_1") | HOSTILE},
    optional={"from_number": HOSTILE, "to_number": HOSTILE, "direction": HOSTILE},
)
BODY = st.fixed_dictionaries(
    {"name": st.sampled_from(sorted(FUNCTIONS)), "args": ARGS, "call": CALL}
)


@FUZZ
@given(body=HOSTILE | BODY | st.dictionaries(st.sampled_from(["name", "args", "call"]), HOSTILE))
def test_no_signed_body_breaks_the_door_or_changes_anything(
    line: Line, other_company: Tenant, owner_engine: Engine, body: Any
) -> None:
    response = line.send_raw(json.dumps(body).encode())
    assert response.status_code in (200, 422), response.text
    assert response.get_json()["message"]
    assert count(owner_engine) == NOTHING


@FUZZ
@given(name=st.sampled_from(sorted(FUNCTIONS)), key=st.sampled_from(NAMES), value=HOSTILE)
def test_one_hostile_argument_among_good_ones_is_answered(
    outside: Flask,
    line: Line,
    other_company: Tenant,
    owner_engine: Engine,
    name: str,
    key: str,
    value: Any,
) -> None:
    """Cal.com doesn't answer here, so a wish that is understood is noted, and nothing else is."""
    before = count(owner_engine)
    good = {"service": "Consultation", "date": weekday().isoformat(), "time": "10:00"}
    good |= {"customer_name": "Erika Beispiel", "reason": "x", key: value}
    body = {"name": name, "args": good, "call": {"call_id": "call_1", "from_number": NUMBER}}

    response = line.send_raw(json.dumps(body).encode())

    assert response.status_code in (200, 422), response.text
    answer = response.get_json()
    assert answer["message"]
    changed = answer.get("reason") in ("noted", "move_noted", "cancelled")
    assert changed or count(owner_engine) == before


def test_text_that_json_can_write_but_no_database_takes_is_cleaned_and_stored(
    line: Line, owner_engine: Engine
) -> None:
    junk = "a\x00b\ud800"
    good = {"date": weekday().isoformat(), "time": "10:00", "customer_name": f"Erika {junk}"}
    call = {"call_id": junk, "from_number": NUMBER, "transcript": junk}
    body = {"name": "book_appointment", "args": {**good, "reason": junk, junk: junk}, "call": call}

    response = line.send(body)

    assert response.status_code == 200, response.text
    assert response.get_json()["reason"] == "noted"
    assert count(owner_engine)["appointments"] == 1


def test_a_key_of_one_company_opens_no_other_door(
    outside: Flask, company: Tenant, other_company: Tenant
) -> None:
    response: TestResponse = Line(outside, company).post(
        RAW, {HEADER: sign(RAW, company.phone_key, clock.now())}, token=other_company.phone_token
    )
    assert response.status_code == 401
