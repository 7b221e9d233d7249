"""Runs: listed with their figures, watched while they work, started and stopped."""

import inspect
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, text

from tests.factories import Person, Tenant, make_run
from tests.views.conftest import Visitor
from tests.views.counting import count_statements
from tests.views.markup import bars, by_id, find, words
from webapp import clock
from webapp.jobs import sweep
from webapp.models.run import RunPhase, RunScope, RunStatus
from webapp.sync import doubts, pages, unclaimed, writing
from webapp.views.run_words import SKIPS

Make = Callable[..., int]
FIGURES = {
    "compared_count": 1250,
    "agreed_count": 1240,
    "disagreed_count": 10,
    "flagged_count": 4,
    "skipped_count": 7,
    "skipped": {"just_written": 5, "on_its_way": 2},
    "listing_count": 5,
    "listed_count": 1260,
    "request_count": 9,
}


def said(html: str) -> str:
    """What the page says, without its navigation."""
    return words(find(html, "main")[0].text)


@pytest.fixture
def runs(owner_engine: Engine) -> Callable[[], list[dict[str, Any]]]:
    """What stands in the table, oldest first."""

    def read() -> list[dict[str, Any]]:
        with owner_engine.connect() as connection:
            rows = connection.execute(text("SELECT * FROM runs ORDER BY id"))
            return [dict(row) for row in rows.mappings()]

    return read


def finish(owner_engine: Engine) -> None:
    with owner_engine.begin() as connection:
        connection.execute(text("UPDATE runs SET status = 'done', finished_at = now()"))


def test_the_list_shows_each_run_with_its_figures(
    at_staff: Visitor, make: Make, company: Tenant
) -> None:
    make(make_run, company, scope=RunScope.FULL, **FIGURES)
    page = said(at_staff.page("/runs"))
    assert "Nightly, everything Done 1,250 10 4 7 9 1 min 30 s" in page


def test_looks_at_changes_stand_in_a_list_of_their_own(
    at_staff: Visitor, make: Make, company: Tenant
) -> None:
    make(make_run, company, scope=RunScope.DELTA)
    make(make_run, company, scope=RunScope.SCHEDULED)
    assert len(find(at_staff.page("/runs"), "a", class_="row-link")) == 1
    assert len(find(at_staff.page("/runs?kind=changes"), "a", class_="row-link")) == 1
    assert len(find(at_staff.page("/runs?kind=all"), "a", class_="row-link")) == 2
    assert len(find(at_staff.page("/runs?kind=nonsense"), "a", class_="row-link")) == 1


def test_the_list_goes_on_behind_its_last_row(
    at_staff: Visitor, make: Make, company: Tenant
) -> None:
    for number in range(51):
        make(make_run, company, started_at=clock.now() - timedelta(hours=number))
    first = at_staff.page("/runs")
    assert len(find(first, "a", class_="row-link")) == 50
    [following] = find(first, "a", rel="next")
    second = at_staff.page(following.attributes["href"])
    assert len(find(second, "a", class_="row-link")) == 1


def test_one_run_says_what_it_left_out_and_why(
    at_staff: Visitor, make: Make, company: Tenant
) -> None:
    run = make(make_run, company, **FIGURES)
    page = said(at_staff.page(f"/runs/{run}"))
    assert "5 × written to Cal.com a moment ago" in page
    assert "2 × a change is on its way to Cal.com" in page
    assert "5 listings with 1,260 bookings; 250 appointments per listing" in page
    assert "4 appointments were newly flagged." in page


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"status": RunStatus.FAILED, "error_code": "UNAUTHORIZED"}, "refused your company"),
        (
            {"status": RunStatus.FAILED, "error_code": "VERIFICATION_UNTRUSTED"},
            "could not be believed",
        ),
        ({"is_truncated": True}, "longer than one verification reads"),
        ({}, "Nothing new was found to differ."),
    ],
)
def test_how_it_ended_is_said(
    at_staff: Visitor, make: Make, company: Tenant, columns: dict[str, Any], expected: str
) -> None:
    run = make(make_run, company, **columns)
    assert expected in at_staff.page(f"/runs/{run}")


def test_a_running_one_shows_how_far_it_is_and_asks_again_until_it_is_over(
    at_staff: Visitor, make: Make, company: Tenant, owner_engine: Engine
) -> None:
    run = make(
        make_run,
        company,
        is_running=True,
        expected_count=200,
        compared_count=100,
        skipped_count=20,
        phase=RunPhase.LISTING,
    )
    for html in (
        at_staff.page(f"/runs/{run}"),
        at_staff.get(f"/runs/{run}/progress?poll=", htmx=True).text,
    ):
        [bar] = bars(html)
        assert (bar.attributes["value"], bar.attributes["max"]) == ("120", "200")
        root = by_id(html, "run")
        assert root is not None
        assert root.attributes["hx-trigger"] == "every 2s"
        assert root.attributes["hx-get"] == f"/runs/{run}/progress?poll="

    finish(owner_engine)

    html = at_staff.get(f"/runs/{run}/progress?poll=", htmx=True).text
    root = by_id(html, "run")
    assert root is not None
    assert "hx-trigger" not in root.attributes
    assert root.attributes["data-announce"] == "Done"
    assert not bars(html)


def test_what_came_new_meanwhile_does_not_overfill_the_bar(
    at_staff: Visitor, make: Make, company: Tenant
) -> None:
    run = make(make_run, company, is_running=True, expected_count=10, compared_count=12)
    [bar] = bars(at_staff.page(f"/runs/{run}"))
    assert bar.attributes["value"] == "10"


def test_the_progress_alone_without_htmx_is_the_page(
    at_staff: Visitor, make: Make, company: Tenant
) -> None:
    run = make(make_run, company)
    answer = at_staff.get(f"/runs/{run}/progress")
    assert (answer.status_code, answer.location) == (303, f"/runs/{run}")


def test_a_manager_starts_one_without_javascript_and_watches_it(
    at_manager: Visitor, manager: Person, runs: Callable[[], list[dict[str, Any]]]
) -> None:
    assert find(at_manager.page("/runs"), "form", method="post", action="/runs")

    answer = at_manager.post("/runs")

    [run] = runs()
    assert (answer.status_code, answer.location) == (303, f"/runs/{run['id']}")
    assert (run["scope"], run["requested_by_user_id"]) == ("requested", manager.id)
    page = said(at_manager.page(answer.location))
    assert "Verification started." in page
    assert "Manager of sonnenschein" in page

    again = at_manager.post("/runs")
    assert again.location == "/runs"
    assert "already running" in at_manager.page("/runs")
    assert len(runs()) == 1


def test_a_look_at_changes_gives_way_to_a_person(
    at_manager: Visitor,
    make: Make,
    company: Tenant,
    manager: Person,
    runs: Callable[[], list[dict[str, Any]]],
) -> None:
    delta = make(make_run, company, is_running=True, scope=RunScope.DELTA, compared_count=3)

    assert at_manager.post("/runs").location == f"/runs/{delta + 1}"

    ended, begun = runs()
    assert (ended["status"], ended["stop_requested_by_user_id"]) == ("stopped", manager.id)
    assert (begun["scope"], begun["status"]) == ("requested", "running")


def test_every_reason_to_leave_one_out_has_words() -> None:
    spoken = r'(?:return |skipped\[|_skip\()"([a-z_]+)"'
    modules = (pages, unclaimed, writing, doubts, sweep)
    reasons = {each for module in modules for each in re.findall(spoken, inspect.getsource(module))}
    assert len(reasons) > 15, "they are found"
    assert reasons <= set(SKIPS)


def test_a_manager_stops_one_and_it_says_so(
    at_manager: Visitor,
    make: Make,
    company: Tenant,
    manager: Person,
    runs: Callable[[], list[dict[str, Any]]],
) -> None:
    run = make(make_run, company, is_running=True)
    assert find(at_manager.page(f"/runs/{run}"), "form", action=f"/runs/{run}/stops")

    answer = at_manager.post(f"/runs/{run}/stops")

    assert (answer.status_code, answer.location) == (303, f"/runs/{run}")
    [row] = runs()
    assert row["stop_requested_at"] is not None
    assert row["stop_requested_by_user_id"] == manager.id
    html = at_manager.page(f"/runs/{run}")
    assert "It stops after what it has at hand." in html
    assert not find(html, "form", action=f"/runs/{run}/stops")
    fragment = at_manager.post(f"/runs/{run}/stops", htmx=True).text
    assert by_id(fragment, "run") is not None
    assert "<html" not in fragment


def test_what_is_over_cannot_be_stopped(
    at_manager: Visitor, make: Make, company: Tenant, runs: Callable[[], list[dict[str, Any]]]
) -> None:
    run = make(make_run, company)
    at_manager.post(f"/runs/{run}/stops")
    assert "over already" in at_manager.page(f"/runs/{run}")
    assert runs()[0]["stop_requested_at"] is None


def test_staff_watch_and_start_and_stop_nothing(
    at_staff: Visitor, make: Make, company: Tenant, runs: Callable[[], list[dict[str, Any]]]
) -> None:
    run = make(make_run, company, is_running=True)
    html = at_staff.page("/runs") + at_staff.page(f"/runs/{run}")
    assert not find(html, "form", action="/runs")
    assert not find(html, "form", action=f"/runs/{run}/stops")
    assert at_staff.post("/runs").status_code == 403
    assert at_staff.post(f"/runs/{run}/stops").status_code == 403
    assert runs()[0]["stop_requested_at"] is None


def test_a_strangers_list_has_none_of_ours(
    at_stranger: Visitor, make: Make, company: Tenant
) -> None:
    make(make_run, company)
    assert "Nothing has been verified yet" in at_stranger.page("/runs")


def test_the_overview_leads_to_the_latest_run_and_to_all(
    at_staff: Visitor, make: Make, company: Tenant
) -> None:
    assert find(at_staff.page("/"), "a", href="/runs")
    run = make(make_run, company)
    assert find(at_staff.page("/"), "a", href=f"/runs/{run}")


def test_the_list_costs_the_same_for_many(
    app: Flask, at_staff: Visitor, make: Make, company: Tenant
) -> None:
    make(make_run, company)
    with count_statements(app) as few:
        at_staff.page("/runs")
    for _ in range(5):
        make(make_run, company)
    with count_statements(app) as many:
        at_staff.page("/runs")
    assert len(many) == len(few)
