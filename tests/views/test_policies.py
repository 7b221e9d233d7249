"""The policies page: choose, see what it would have done, save; admins only, audited."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from sqlalchemy import Engine, text

from tests.factories import Person, Tenant, make_appointment, make_discrepancy
from tests.views.conftest import Visitor
from tests.views.counting import count_statements
from tests.views.markup import find, words
from webapp import clock
from webapp.models.appointment import AppointmentStatus
from webapp.models.discrepancy import DiscrepancyType, Resolution
from webapp.models.sync_state import SyncState

Make = Callable[..., int]
FORM = {
    "start_policy": "flag",
    "status_policy": "flag",
    "unclaimed_policy": "flag",
    "managers_settle": "yes",
}
MOVED = {"starts_at": {"base": "2030-01-01T10:00:00+00:00", "ours": "2030-01-01T10:00:00+00:00"}}
MOVED["starts_at"] |= {"theirs": "2030-01-01T11:00:00+00:00", "moved": "theirs"}
CANCELLED = {"status": {"base": "accepted", "ours": "accepted", "theirs": "cancelled"}}


def address(**chosen: str) -> str:
    return f"/settings/policies?{urlencode(FORM | chosen)}"


def stored(owner_engine: Engine, company: Tenant) -> dict[str, Any]:
    with owner_engine.connect() as connection:
        row = connection.execute(
            text(
                "SELECT start_policy, status_policy, unclaimed_policy, managers_settle"
                " FROM companies WHERE id = :id"
            ),
            {"id": company.id},
        )
        return dict(row.mappings().one())


def audit(owner_engine: Engine) -> list[tuple[Any, ...]]:
    with owner_engine.connect() as connection:
        rows = connection.execute(
            text("SELECT user_id, data FROM audit_entries WHERE action = 'policies.changed'")
        )
        return [tuple(row) for row in rows]


@pytest.fixture
def mismatches(make: Make, company: Tenant) -> list[int]:
    """Open: one moved there. Settled lately: one moved, one cancelled there. And one too old."""
    found = []
    for fields, days_ago, is_open in (
        (MOVED, 1, True),
        (MOVED, 10, False),
        (CANCELLED, 20, False),
        (MOVED, 31, False),
    ):
        at = clock.now() - timedelta(days=days_ago)
        appointment = make(make_appointment, company, state=SyncState.FAILED, flagged=is_open)
        settled = {} if is_open else {"resolved_at": at, "resolution": Resolution.RETRIED}
        evidence = {"fields": fields}
        found.append(
            make(make_discrepancy, company, appointment, evidence=evidence, opened_at=at, **settled)
        )
    return found


def tally(html: str) -> list[str]:
    return [each.text for each in find(html, "strong", class_="tally-number")]


def test_what_holds_is_shown_and_nothing_is_tried_unasked(at_admin: Visitor) -> None:
    html = at_admin.page("/settings/policies")
    checked = [each for each in find(html, "input", type="radio") if "checked" in each.attributes]
    assert [each.attributes["value"] for each in checked] == ["flag", "flag", "flag", "yes"]
    assert "rehearsal-title" not in html
    [current] = find(html, "a", class_="sections-link", aria_current="page")
    assert current.attributes["href"] == "/settings/policies"


def test_each_choice_that_mails_says_so(at_admin: Visitor) -> None:
    html = at_admin.page("/settings/policies")
    for label in find(html, "label", class_="choice"):
        mails = "mails the customer" in words(label.text)
        assert mails == label.text.strip().startswith("Keep our"), label.text


def test_a_choice_is_tried_on_the_last_30_days_before_it_holds(
    at_admin: Visitor, mismatches: list[int], owner_engine: Engine, company: Tenant
) -> None:
    html = at_admin.page(address(start_policy="ours_wins"))
    assert tally(html) == ["0", "2", "1"], "followed, pushed, left to a person"
    page = words(html)
    assert "Tried on 3 mismatches" in page
    assert "2 mails to customers" in page
    assert "the next verification makes Cal.com mail 1 customer." in page
    assert "Cal.com moved it to" in page
    assert stored(owner_engine, company)["start_policy"] == "flag"
    assert audit(owner_engine) == []


def test_taking_cal_coms_side_mails_nobody(at_admin: Visitor, mismatches: list[int]) -> None:
    html = at_admin.page(address(start_policy="calcom_wins", status_policy="calcom_wins"))
    assert tally(html) == ["3", "0", "0"]
    assert "mail 1 customer" not in words(html)
    assert "mails to customers" not in words(html)


def test_why_something_stays_a_persons_is_counted(
    at_admin: Visitor, make: Make, company: Tenant
) -> None:
    over = make(
        make_appointment,
        company,
        state=SyncState.FAILED,
        flagged=True,
        status=AppointmentStatus.COMPLETED,
    )
    make(make_discrepancy, company, over, evidence={"fields": MOVED})
    page = words(at_admin.page(address(start_policy="ours_wins")))
    assert "1 × It is over: completed or a no-show." in page


def test_without_any_mismatch_it_says_so_and_can_be_saved(at_admin: Visitor) -> None:
    html = at_admin.page(address(start_policy="calcom_wins"))
    assert "nothing to try it on" in html
    assert find(html, "form", method="post", action="/settings/policies")


def test_adopting_tells_how_many_would_have_been(
    at_admin: Visitor, make: Make, company: Tenant
) -> None:
    make(make_discrepancy, company, type_=DiscrepancyType.ORPHANED_CALCOM, code="ORPHANED_CALCOM")
    page = words(at_admin.page(address(unclaimed_policy="adopt")))
    assert "1 booking that nobody here knew would have been taken over." in page


def test_saving_holds_and_is_audited_with_both_values(
    at_admin: Visitor, admin: Person, company: Tenant, owner_engine: Engine
) -> None:
    html = at_admin.page(address(start_policy="calcom_wins", managers_settle="no"))
    [form] = find(html, "form", method="post", action="/settings/policies")
    hidden = {
        each.attributes["name"]: each.attributes["value"]
        for each in find(html, "input", type="hidden")
    }

    answer = at_admin.post("/settings/policies", hidden)

    assert form
    assert (answer.status_code, answer.location) == (303, "/settings/policies")
    assert stored(owner_engine, company) == {
        "start_policy": "calcom_wins",
        "status_policy": "flag",
        "unclaimed_policy": "flag",
        "managers_settle": False,
    }
    changed = {"start_policy": ["flag", "calcom_wins"], "managers_settle": [True, False]}
    assert audit(owner_engine) == [(admin.id, changed)]
    assert "Saved." in at_admin.page("/settings/policies")


def test_saving_what_holds_already_changes_nothing(at_admin: Visitor, owner_engine: Engine) -> None:
    at_admin.post("/settings/policies", FORM)
    assert "Nothing was changed" in at_admin.page("/settings/policies")
    assert "These policies hold already." in at_admin.page(address())
    assert audit(owner_engine) == []


@pytest.mark.parametrize("name", FORM)
def test_an_unknown_choice_is_refused_beside_its_field(
    at_admin: Visitor, owner_engine: Engine, company: Tenant, name: str
) -> None:
    form = FORM | {"start_policy": "calcom_wins", name: "whatever"}
    answer = at_admin.post("/settings/policies", form)
    assert answer.status_code == 422
    assert "Choose one of these." in answer.text
    assert at_admin.get(f"/settings/policies?{urlencode(form)}").status_code == 422
    assert stored(owner_engine, company)["start_policy"] == "flag"


def test_where_managers_may_not_settle_they_still_book_and_verify(
    at_admin: Visitor, at_manager: Visitor, make: Make, company: Tenant
) -> None:
    appointment = make(make_appointment, company, state=SyncState.FAILED, flagged=True)
    finding = make(make_discrepancy, company, appointment)
    paths = (f"/reviews/{finding}/retries", f"/reviews/{finding}/pushes")
    paths += (f"/appointments/{appointment}/retries", f"/appointments/{appointment}/pushes")
    assert "/retries" in at_manager.page("/reviews")

    at_admin.post("/settings/policies", FORM | {"managers_settle": "no"})

    assert {at_manager.post(path).status_code for path in paths} == {403}
    html = at_manager.page("/reviews") + at_manager.page(f"/appointments/{appointment}")
    assert "/retries" not in html
    assert "/pushes" not in html
    assert at_manager.get("/appointments/new").status_code == 200
    assert at_manager.post(f"/appointments/{appointment}/verifications").status_code == 303
    assert at_admin.post(paths[0]).status_code == 303


def test_policies_are_for_admins(at_manager: Visitor, at_staff: Visitor) -> None:
    for visitor in (at_manager, at_staff):
        assert visitor.get("/settings/policies").status_code == 403
        assert visitor.post("/settings/policies", FORM).status_code == 403


def test_a_stranger_tries_theirs_on_none_of_ours(
    at_stranger: Visitor, mismatches: list[int]
) -> None:
    assert "nothing to try it on" in at_stranger.page(address(start_policy="ours_wins"))


def test_the_page_costs_the_same_for_many(
    app: Flask, at_admin: Visitor, make: Make, company: Tenant, mismatches: list[int]
) -> None:
    with count_statements(app) as few:
        at_admin.page(address(start_policy="ours_wins"))
    for _ in range(6):
        make(make_discrepancy, company, evidence={"fields": MOVED})
    with count_statements(app) as many:
        at_admin.page(address(start_policy="ours_wins"))
    assert len(many) == len(few)
