"""Every page there is × light and dark × German and English × telephone and desk: nothing
overflows, nothing complains, nothing is left in English, axe finds no violation of WCAG 2.2 AA.

The pages are walked from the application's own map. `LOOKS_FOLDER` names a folder that gets a
picture of each (`make looks`)."""

import re
from collections.abc import Iterator
from typing import Literal

import pytest
from flask import Flask
from playwright.sync_api import Browser, Route
from sqlalchemy import Engine

from tests.browser.conftest import log_in
from tests.browser.looks import (
    NOWHERE,
    OVERFLOW,
    SETTLED,
    Viewer,
    photograph,
    untranslated,
    violations,
)
from tests.browser.scene import LONG, furnish, lengthen_names
from tests.contracts.routes import WHO_MAY, behind_the_login
from tests.factories import Person, Tenant

pytestmark = pytest.mark.browser

WIDTHS = (390, 1440)
EXTREMES = (360, 3840)
MORE_PAGES = ("/appointments/new?q=wolf", "/reviews?text=nobody", "/api/v1/docs", NOWHERE)
SHARDS = 4
ESSENTIAL = ("/", "/reviews", "/appointments/1", "/appointments/new")
Looks = dict[str, list[tuple[str, int]]]
EXAMINED: Looks = {"en": [("light", 1440), ("dark", 390)], "de": [("light", 390), ("dark", 1440)]}
"""Language → where axe looks: both themes and both widths once, and every page in all four."""

FILES = re.compile(r"\.(csv|json)$|/outcomes$")
"""Downloads: nothing to look at."""


@pytest.fixture
def viewer(browser: Browser, address: str, admin: Person) -> Iterator[Viewer]:
    """The admin at a browser that prefers no motion."""
    context = browser.new_context(base_url=address, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(20_000)
    log_in(page, admin)
    yield Viewer(page)
    context.close()


def look_at(viewer: Viewer, paths: list[str], looks: Looks = EXAMINED) -> list[str]:
    """What is wrong with these pages; axe looks where it is told to."""
    found: list[str] = []
    said: dict[str, list[set[str]]] = {}
    for language, examined in looks.items():
        viewer.read(language)
        for path in paths:
            if viewer.goto(path):
                found += viewer.problems(WIDTHS, examine=examined)
                said.setdefault(path, []).append(viewer.texts())
    assert said, "there was no page to look at"
    return found + [
        f"{path} (not translated: {each!r})"
        for path, texts in said.items()
        for each in untranslated(*texts, LONG)
    ]


def pages(app: Flask, rows: dict[str, dict[str, object]]) -> list[str]:
    """The addresses of all pages and pieces of pages."""
    every = [each.address for each in behind_the_login(app, rows) if each.method == "GET"]
    return [each for each in [*every, *MORE_PAGES] if not FILES.search(each)]


def test_the_main_pages_are_not_amiss(
    app: Flask, viewer: Viewer, owner_engine: Engine, company: Tenant, admin: Person
) -> None:
    with app.app_context():
        furnish(owner_engine, company, admin)
    viewer.goto("/")
    found = look_at(viewer, list(ESSENTIAL), {"en": [("light", 1440)], "de": [("dark", 390)]})
    assert not found, "\n".join(found)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("shard", range(SHARDS))
def test_no_filled_page_is_amiss(
    app: Flask, viewer: Viewer, owner_engine: Engine, company: Tenant, admin: Person, shard: int
) -> None:
    with app.app_context():
        rows = furnish(owner_engine, company, admin)
    found = look_at(viewer, pages(app, rows)[shard::SHARDS])
    assert not found, "\n".join(found)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_no_page_of_an_empty_company_is_amiss(
    app: Flask, viewer: Viewer, owner_engine: Engine
) -> None:
    """A company that was made a minute ago: what says what to do next."""
    lengthen_names(owner_engine)
    viewer.scene = "empty"
    adapter = app.url_map.bind("localhost")
    paths = [
        adapter.build(rule.endpoint, {}, "GET")
        for rule in app.url_map.iter_rules()
        if rule.endpoint in WHO_MAY and not rule.arguments and "GET" in (rule.methods or ())
    ]
    found = look_at(viewer, paths, {"en": [("dark", 1440)], "de": [("light", 390)]})
    assert not found, "\n".join(found)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("width", EXTREMES)
def test_no_page_breaks_on_the_smallest_and_the_largest_screen(
    app: Flask,
    viewer: Viewer,
    owner_engine: Engine,
    company: Tenant,
    admin: Person,
    width: int,
) -> None:
    with app.app_context():
        rows = furnish(owner_engine, company, admin)
    viewer.read("de")
    found: list[str] = []
    for path in pages(app, rows):
        if viewer.goto(path):
            found += viewer.problems((width,), examine=())
    assert not found, "\n".join(found)


QUESTIONS = """() => [...document.querySelectorAll("[hx-target='#dialog']")]
  .filter((each) => each.checkVisibility()).map((each) => each.getAttribute("hx-get"))"""


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("language", "theme", "width"), [("en", "light", 1440), ("de", "dark", 390)]
)
def test_no_open_dialog_is_amiss(
    app: Flask,
    viewer: Viewer,
    owner_engine: Engine,
    company: Tenant,
    admin: Person,
    language: str,
    theme: Literal["light", "dark"],
    width: int,
) -> None:
    with app.app_context():
        rows = furnish(owner_engine, company, admin)
    viewer.read(language)
    viewer.page.emulate_media(color_scheme=theme)
    viewer.page.set_viewport_size({"width": width, "height": 900})
    found: dict[str, list[str]] = {}
    for path in pages(app, rows):
        if viewer.goto(path):
            for question in viewer.page.evaluate(QUESTIONS):
                if question not in found:
                    found[question] = look_at_dialog(viewer, path, question)
    found["palette"] = look_at_palette(viewer)
    assert len(found) > 10, "the dialogs were not found"
    amiss = [f"{name}: {each}" for name, all_ in found.items() for each in all_]
    assert not amiss, "\n".join(amiss)


def look_at_dialog(viewer: Viewer, path: str, question: str) -> list[str]:
    """Ask the question of a page; what is wrong with the dialog it opens."""
    page = viewer.page
    viewer.goto(path)
    page.locator(f"[hx-target='#dialog'][hx-get='{question}']:visible").first.click()
    page.locator("#dialog[open] form").first.wait_for()
    return amiss_in_dialog(viewer, "#dialog", question)


def look_at_palette(viewer: Viewer) -> list[str]:
    viewer.goto("/")
    viewer.page.keyboard.press("Control+k")
    viewer.page.locator("#palette[open]").wait_for()
    return amiss_in_dialog(viewer, "#palette", "palette")


def amiss_in_dialog(viewer: Viewer, dialog: str, name: str) -> list[str]:
    """Of the open one: what axe finds, whether it fits, has the focus and goes at Escape."""
    page = viewer.page
    page.evaluate(SETTLED)
    photograph(page, name, f"dialogs-{viewer.language}")
    found = [*violations(page), *viewer.complaints]
    if page.evaluate(f"!document.querySelector('{dialog}').contains(document.activeElement)"):
        found.append("the focus is not in it")
    if wide := page.evaluate(OVERFLOW):
        found.append(f"too wide by {wide}")
    page.keyboard.press("Escape")
    if page.locator(f"{dialog}[open]").count():
        found.append("Escape doesn't close it")
    return found


AMISS = """<p class="pale">Pale</p><input class="form-control"><p class="wide">Wide</p>
<style>p { color: red }</style></main>"""
AMISS_STYLE = ".pale { color: #bbb; background: #fff; } .wide { width: 200vw; }"


def test_what_is_amiss_is_found(viewer: Viewer) -> None:
    """The looks would be worth nothing if they let everything pass."""

    def spoil(route: Route) -> None:
        answer = route.fetch()
        spoilt = answer.text().replace("</main>", AMISS)
        if "app.css" in route.request.url:
            spoilt += AMISS_STYLE
        route.fulfill(response=answer, body=spoilt)

    viewer.page.route(re.compile(r"/profile$|/app\.css"), spoil)
    viewer.goto("/profile")
    found = "\n".join(viewer.problems((390,), examine=[("light", 390)]))
    for part in (
        "too wide",
        "color-contrast: ['.pale']",
        "label: ['#main > .form-control']",
        "style-src",
    ):
        assert part in found, f"{part}: {found}"
    assert untranslated({"Save it", "Ruth"}, {"Save it", "Ruth"}, "Ruth") == ["Save it"]
