"""Each error code has a page that its badge leads to; none that can come about is without."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask_babel import force_locale

from tests.factories import Person, Tenant, make_discrepancy, make_notification
from tests.views.conftest import Visitor
from tests.views.markup import find, words
from webapp.views.causes import CAUSES
from webapp.views.explanations import EXPLANATIONS, UNKNOWN, explain

Make = Callable[..., int]
ROOMS = ("calcom", "sync", "jobs", "notify")
CODE = re.compile(r"[A-Z][A-Z0-9]+(_[A-Z0-9]+)*")
NO_CODES = {
    "EUR",
    "GET",
    "PATCH",
    "POST",
    "NFC",
    "NFKD",
    "PING",
    "UNKNOWN",
    "HTTP_5",
    "LOCKSTEP_PING",
}
"""What is written like a code and is none; Cal.com's triggers are told by their beginnings."""
TRIGGERS = ("BOOKING_", "MEETING_", "RECORDING_", "OOO_")


def codes_in_the_source() -> Iterator[str]:
    root = Path(__file__).parents[2] / "webapp"
    for room in ROOMS:
        for path in (root / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                text = node.value if isinstance(node, ast.Constant) else None
                if isinstance(text, str) and CODE.fullmatch(text):
                    yield text


def test_every_code_that_can_come_about_is_explained_and_has_its_cause() -> None:
    codes = {code for code in codes_in_the_source() if not code.startswith(TRIGGERS)} - NO_CODES
    assert {"TIMEOUT", "NO_EVENT_TYPE", "INTERNAL", "SMTP_AWAY", "LEASE_LOST"} <= codes
    assert [code for code in sorted(codes) if explain(code) is UNKNOWN] == [], (
        "add them to EXPLANATIONS and CAUSES, or to NO_CODES here"
    )
    assert set(CAUSES) == set(EXPLANATIONS)


@pytest.mark.parametrize("code", sorted(EXPLANATIONS))
def test_each_code_has_a_page(at_staff: Visitor, code: str) -> None:
    page = words(at_staff.page(f"/help/errors/{code}"))
    for part in ("What it means", "Where it likely comes from", "What to do"):
        assert part in page
    assert f"/help/errors/{code}" in at_staff.page("/help/errors")


def test_causes_are_told_in_both_languages(app: Flask) -> None:
    for code, cause in CAUSES.items():
        with app.test_request_context():
            with force_locale("en"):
                english = str(cause)
            with force_locale("de"):
                assert str(cause) != english, code


def test_a_status_of_a_family_has_its_page_and_nonsense_has_none(at_staff: Visitor) -> None:
    assert "A fault or a deployment" in at_staff.page("/help/errors/HTTP_503")
    assert "Something unexpected happened" in at_staff.page("/help/errors/BRAND_NEW")
    assert at_staff.get("/help/errors/a%20b").status_code == 404
    assert at_staff.get("/help/errors/" + "A" * 50).status_code == 404


def test_badges_lead_to_the_page(
    at_manager: Visitor, manager: Person, make: Make, company: Tenant
) -> None:
    make(make_discrepancy, company, code="TIMEOUT")
    make(make_notification, manager, parameters={"code": "TIMEOUT"})
    for address in ("/reviews", "/appointments/1", "/notifications"):
        links = find(at_manager.page(address), "a", href="/help/errors/TIMEOUT")
        assert [link.text for link in links] == ["TIMEOUT"], address
