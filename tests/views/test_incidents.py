"""Incidents: the evidence in plain words, both ways out, and the banner until it is settled."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, text

from tests.factories import (
    Person,
    Tenant,
    make_appointment,
    make_incident,
    make_notification,
    make_run,
)
from tests.views.conftest import Visitor
from tests.views.markup import by_id, find, words
from webapp import clock
from webapp.models.incident import IncidentCause, Settlement
from webapp.models.notification import NotificationType
from webapp.views.suspicion import CAUSES

Make = Callable[..., int]
SEEN = {
    "missing": 40,
    "expected": 1900,
    "active": 1500,
    "threshold": 30,
    "listings": 6,
    "listed": 1480,
    "window_from": datetime(2026, 1, 5, 12, tzinfo=UTC).isoformat(),
    "account": {"id": 7, "name": "sonnenschein"},
    "known_account": {"id": 7, "name": "sonnenschein"},
}
TITLE = "More appointments are missing on Cal.com than can be believed"


def said(html: str) -> str:
    """What the page says, without its navigation."""
    return words(find(html, "main")[0].text)


@pytest.fixture
def incident(make: Make, company: Tenant) -> int:
    run = make(make_run, company)
    sample = [make(make_appointment, company) for _ in range(2)]
    return make(make_incident, company, run_id=run, evidence={**SEEN, "sample": sample})


def stored(owner_engine: Engine) -> dict[str, Any]:
    with owner_engine.connect() as connection:
        row = connection.execute(text("SELECT settlement, settled_by_user_id FROM incidents"))
        return dict(row.mappings().one())


def audit(owner_engine: Engine) -> list[tuple[str, int]]:
    with owner_engine.connect() as connection:
        rows = connection.execute(
            text("SELECT data->>'settlement', user_id FROM audit_entries WHERE action LIKE 'inc%'")
        )
        return [tuple(row) for row in rows]


def test_the_evidence_is_told_in_plain_said(at_staff: Visitor, incident: int) -> None:
    html = at_staff.page(f"/incidents/{incident}")
    page = said(html)
    assert (
        "40 of 1,900 appointments would newly be marked as missing. With 1,500 active ones, more"
        " than 30 at once are not believed." in page
    )
    assert "The account that answered is sonnenschein, as always." in page
    assert "read to its end: 1,480 bookings on 6 pages, from Mon 5 Jan 2026, 13:00 on." in page
    assert "Nothing was flagged and nothing was changed." in page
    assert find(html, "a", href="/runs/1")
    assert len([a for a in find(html, "a") if "/appointments/" in a.attributes["href"]]) == 2


@pytest.mark.parametrize(
    ("cause", "evidence", "expected"),
    [
        (
            IncidentCause.TOO_MANY_MISSING,
            {"unseen": 90, "expected": 100, "active": 50, "threshold": 5},
            "90 of 100",
        ),
        (IncidentCause.THEIRS_EMPTY, {}, "shows no booking at all"),
        (IncidentCause.OURS_EMPTY, {}, "no appointment left"),
        (
            IncidentCause.OTHER_ACCOUNT,
            {"account": {"id": 8, "name": "blau"}, "known_account": {"id": 7, "name": "gelb"}},
            "The key belongs to the account blau; so far it was gelb.",
        ),
    ],
)
def test_each_cause_has_its_words(
    at_staff: Visitor,
    make: Make,
    company: Tenant,
    cause: IncidentCause,
    evidence: Any,
    expected: str,
) -> None:
    number = make(make_incident, company, cause, evidence=evidence)
    assert expected in said(at_staff.page(f"/incidents/{number}"))


def test_every_cause_is_explained() -> None:
    assert set(CAUSES) == set(IncidentCause)


def test_running_again_is_one_click_without_javascript(
    at_manager: Visitor, manager: Person, incident: int, owner_engine: Engine
) -> None:
    html = at_manager.page(f"/incidents/{incident}")
    assert find(html, "form", method="post", action=f"/incidents/{incident}/runs")

    answer = at_manager.post(f"/incidents/{incident}/runs")

    assert (answer.status_code, answer.location) == (303, "/runs/2")
    assert stored(owner_engine) == {"settlement": "ran_again", "settled_by_user_id": manager.id}
    assert audit(owner_engine) == [("ran_again", manager.id)]
    page = said(at_manager.page(f"/incidents/{incident}"))
    assert "Run again. By Manager of sonnenschein." in page


def test_flagging_asks_first_and_says_what_follows(
    at_manager: Visitor, manager: Person, incident: int, owner_engine: Engine
) -> None:
    html = at_manager.page(f"/incidents/{incident}")
    assert find(html, "a", href=f"/incidents/{incident}/flaggings")
    question = at_manager.page(f"/incidents/{incident}/flaggings")
    assert "Nobody is mailed and nothing is changed on Cal.com." in words(question)
    assert stored(owner_engine)["settlement"] is None
    dialog = at_manager.get(f"/incidents/{incident}/flaggings", htmx=True).text
    assert by_id(dialog, "confirmation") is not None
    assert "<html" not in dialog

    answer = at_manager.post(f"/incidents/{incident}/flaggings")

    assert (answer.status_code, answer.location) == (303, "/runs/2")
    assert stored(owner_engine) == {"settlement": "flagged", "settled_by_user_id": manager.id}
    assert audit(owner_engine) == [("flagged", manager.id)]


def test_under_htmx_the_answer_is_the_runs_page(at_manager: Visitor, incident: int) -> None:
    answer = at_manager.post(f"/incidents/{incident}/flaggings", htmx=True)
    assert answer.headers["HX-Redirect"] == "/runs/2"


@pytest.mark.parametrize("way_out", ["runs", "flaggings"])
def test_a_second_click_starts_nothing_and_says_why(
    at_manager: Visitor, incident: int, owner_engine: Engine, way_out: str
) -> None:
    at_manager.post(f"/incidents/{incident}/runs")
    answer = at_manager.post(f"/incidents/{incident}/{way_out}")
    assert answer.location == f"/incidents/{incident}"
    assert "Nothing was started" in at_manager.page(answer.location)
    assert len(audit(owner_engine)) == 1


def test_while_a_run_is_running_it_stays_open(
    at_manager: Visitor, make: Make, company: Tenant, incident: int, owner_engine: Engine
) -> None:
    running = make(make_run, company, is_running=True)
    answer = at_manager.post(f"/incidents/{incident}/flaggings")
    assert answer.location == f"/runs/{running}", "what is in the way"
    assert "this verification is running" in at_manager.page(answer.location)
    assert stored(owner_engine)["settlement"] is None
    assert audit(owner_engine) == []


def test_staff_see_it_and_settle_nothing(
    at_staff: Visitor, incident: int, owner_engine: Engine
) -> None:
    html = at_staff.page(f"/incidents/{incident}")
    assert "A manager or admin has to settle this." in html
    assert not find(html, "form", action=f"/incidents/{incident}/runs")
    for path in ("runs", "flaggings"):
        assert at_staff.post(f"/incidents/{incident}/{path}").status_code == 403
    assert at_staff.get(f"/incidents/{incident}/flaggings").status_code == 403
    assert stored(owner_engine)["settlement"] is None


def test_who_may_not_settle_findings_settles_no_incident_either(
    at_manager: Visitor, at_admin: Visitor, company: Tenant, incident: int, owner_engine: Engine
) -> None:
    with owner_engine.begin() as connection:
        connection.execute(text("UPDATE companies SET managers_settle = false"))
    html = at_manager.page(f"/incidents/{incident}")
    assert "An admin has to settle this." in html
    assert not find(html, "form", action=f"/incidents/{incident}/runs")
    for path in ("runs", "flaggings"):
        assert at_manager.post(f"/incidents/{incident}/{path}").status_code == 403
    assert at_manager.get(f"/incidents/{incident}/flaggings").status_code == 403
    assert stored(owner_engine)["settlement"] is None
    assert at_admin.post(f"/incidents/{incident}/flaggings").status_code == 303


def test_another_account_is_made_the_companys_by_an_admin_alone(
    at_manager: Visitor, at_admin: Visitor, make: Make, company: Tenant, owner_engine: Engine
) -> None:
    evidence = {"account": {"id": 8, "name": "blau"}, "known_account": {"id": 7, "name": "gelb"}}
    number = make(make_incident, company, IncidentCause.OTHER_ACCOUNT, evidence=evidence)
    html = at_manager.page(f"/incidents/{number}")
    assert "Which account is yours, an admin has to say." in html
    assert find(html, "form", action=f"/incidents/{number}/runs")
    assert not find(html, "a", href=f"/incidents/{number}/flaggings")
    assert at_manager.get(f"/incidents/{number}/flaggings").status_code == 403
    assert at_manager.post(f"/incidents/{number}/flaggings").status_code == 403
    assert stored(owner_engine)["settlement"] is None

    assert find(at_admin.page(f"/incidents/{number}"), "a", href=f"/incidents/{number}/flaggings")
    assert at_admin.post(f"/incidents/{number}/flaggings").status_code == 303
    with owner_engine.connect() as connection:
        assert connection.scalar(text("SELECT max(calcom_account_id) FROM companies")) == 8


def test_the_overview_says_so_until_it_is_settled(
    at_staff: Visitor, at_manager: Visitor, at_stranger: Visitor, incident: int
) -> None:
    html = at_staff.page("/")
    assert TITLE in html
    assert find(html, "a", href=f"/incidents/{incident}")
    assert TITLE not in at_stranger.page("/")
    at_manager.post(f"/incidents/{incident}/runs")
    assert TITLE not in at_staff.page("/")


def test_the_list_shows_open_and_settled_ones(
    at_staff: Visitor, at_stranger: Visitor, make: Make, company: Tenant, incident: int
) -> None:
    make(
        make_incident,
        company,
        IncidentCause.THEIRS_EMPTY,
        settled_at=clock.now(),
        settlement=Settlement.BY_ITSELF,
    )
    page = said(at_staff.page("/incidents"))
    assert "Open: somebody has to look" in page
    assert "Settled by itself" in page
    assert "No incident so far" in at_stranger.page("/incidents")


def test_its_notification_leads_there(at_staff: Visitor, staff: Person, make: Make) -> None:
    make(make_notification, staff, type=NotificationType.VERIFICATION_UNTRUSTED)
    html = at_staff.page("/notifications")
    assert find(html, "a", class_="row-link", href="/incidents")
    assert at_staff.post("/notifications/1/reading", {"open": ""}).location == "/incidents"
