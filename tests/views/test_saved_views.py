"""Saved views: a person's own filters under a name, checked, renamed, removed; and the filters."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import Engine, text

from tests.factories import Person, Tenant, make_appointment, make_service
from tests.views.conftest import Visitor
from tests.views.markup import find, words
from webapp import clock
from webapp.models.appointment import Origin
from webapp.models.saved_view import MOST_VIEWS

Make = Callable[..., int]


def tabs(page: str) -> dict[str, str]:
    """Saved views as the list shows them: name → address."""
    links = find(page, "a", class_="sections-link")
    return {words(link.text): link.attributes["href"] for link in links if link.text.strip()}


def saved(owner_engine: Engine) -> list[tuple[str, str]]:
    with owner_engine.connect() as connection:
        rows = connection.execute(text("SELECT name, query FROM saved_views ORDER BY id"))
        return [(row[0], row[1]) for row in rows]


def test_a_view_is_saved_and_shown_as_a_tab(at_staff: Visitor, make: Make, company: Tenant) -> None:
    make(make_appointment, company, created_by_origin=Origin.RETELL)
    other = make(make_appointment, company)
    at_staff.post("/saved-views", {"name": "By phone", "query": "origin=retell&period=all"})
    page = at_staff.page("/appointments")
    address = tabs(page)["By phone"]
    shown = at_staff.page(address.replace("&amp;", "&"))
    assert f"/appointments/{other}" not in shown
    assert words(find(shown, "a", aria_current="page", class_="sections-link")[0].text) == (
        "By phone"
    )


def test_only_what_the_list_knows_is_kept(at_staff: Visitor, owner_engine: Engine) -> None:
    query = "status=nonsense&sync=failures&x=1&after=0_20310101T000000.0_1&from=2026-13-01"
    at_staff.post("/saved-views", {"name": "Odd", "query": query})
    assert saved(owner_engine) == [("Odd", "period=upcoming&sync=failures")]


def test_a_strangers_service_is_not_kept(
    at_staff: Visitor, make: Make, other_company: Tenant, owner_engine: Engine
) -> None:
    foreign = make(make_service, other_company)
    form = {"name": "Theirs", "query": f"service={foreign}"}
    assert at_staff.post("/saved-views", form).status_code == 404
    assert saved(owner_engine) == []


def test_a_view_is_renamed_and_removed(at_staff: Visitor, owner_engine: Engine) -> None:
    at_staff.post("/saved-views", {"name": "Old", "query": "period=past"})
    at_staff.post("/saved-views/1/names", {"name": " New "})
    assert saved(owner_engine) == [("New", "period=past")]
    at_staff.post("/saved-views/1/removal")
    assert saved(owner_engine) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "This is needed."),
        ("x" * 61, "At most 60 characters."),
        ("TODAY", "You have a view of this name already."),
    ],
)
def test_a_name_that_cannot_be_is_refused(
    at_staff: Visitor, owner_engine: Engine, name: str, said: str
) -> None:
    at_staff.post("/saved-views", {"name": "Today", "query": ""})
    at_staff.page("/appointments")
    response = at_staff.post("/saved-views", {"name": name, "query": "period=past"})
    assert said in at_staff.page(response.location)
    assert len(saved(owner_engine)) == 1


def test_there_is_an_end_to_views(at_staff: Visitor, owner_engine: Engine) -> None:
    for number in range(MOST_VIEWS + 1):
        at_staff.post("/saved-views", {"name": f"View {number}", "query": ""})
    assert len(saved(owner_engine)) == MOST_VIEWS


def test_views_are_a_persons_own(
    app: Flask, at_staff: Visitor, at_manager: Visitor, owner_engine: Engine
) -> None:
    at_staff.post("/saved-views", {"name": "Mine", "query": "period=past"})
    assert "Mine" not in tabs(at_manager.page("/appointments"))
    assert at_manager.post("/saved-views/1/removal").status_code == 404
    assert at_manager.post("/saved-views/1/names", {"name": "Yours"}).status_code == 404
    assert saved(owner_engine) == [("Mine", "period=past")]


def test_the_list_tells_apart_who_booked(
    at_staff: Visitor, make: Make, company: Tenant, admin: Person
) -> None:
    by_phone = make(make_appointment, company, created_by_origin=Origin.RETELL)
    make(make_appointment, company, starts_at=clock.now() + timedelta(days=3))
    page = at_staff.page("/appointments?origin=retell")
    links = [each.attributes["href"] for each in find(page, "a", class_="row-link")]
    assert links == [f"/appointments/{by_phone}"]
