"""Rules that hold for every page, in both languages: headings, ids, labels, policy, icons."""

import re
from pathlib import Path

import pytest
from flask import Flask

from tests.contracts.filling import Row
from tests.contracts.routes import behind_the_login
from tests.views.conftest import Visitor
from tests.views.markup import find, read

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
SPRITE = ROOT / "static" / "vendor" / "tabler-icons-3.51.0" / "sprite.svg"
LONGEST_FRAGMENT = 25
MORE_PAGES = ("/appointments/new?q=erika", "/nowhere", "/reviews?text=nobody")
"""Beside every GET of the application."""


@pytest.fixture(params=["en", "de"])
def pages(
    request: pytest.FixtureRequest, app: Flask, at_admin: Visitor, ours: dict[str, Row]
) -> dict[str, str]:
    """Every page and fragment of the desk, with something on it, and the login."""
    at_admin.post("/profile/language", {"language": request.param})
    paths = [each.address for each in behind_the_login(app, ours) if each.method == "GET"]
    answers = {path: at_admin.get(path) for path in (*paths, *MORE_PAGES)}
    language = {"Accept-Language": request.param}
    answers["/login"] = app.test_client().get("/login", headers=language)
    return {path: answer.text for path, answer in answers.items() if answer.status_code != 303}


def _is_whole(html: str) -> bool:
    return html.lstrip().lower().startswith("<!doctype")


def test_every_page_obeys_the_rules(pages: dict[str, str]) -> None:
    whole = [path for path, html in pages.items() if _is_whole(html)]
    assert len(whole) > 10
    for path, html in pages.items():
        _has_unique_ids(path, html)
        _has_labelled_inputs(path, html)
        _has_nothing_inline(path, html)
        _has_a_token_in_every_post(path, html)
    for path in whole:
        _has_one_heading(path, pages[path])
        assert "skip-link" in pages[path], path
        assert find(pages[path], "title")[0].text.strip(" ·"), path


def test_every_page_says_its_language(
    pages: dict[str, str], request: pytest.FixtureRequest
) -> None:
    wanted = request.node.callspec.params["pages"]
    for path, html in pages.items():
        if _is_whole(html):
            assert find(html, "html")[0].attributes["lang"] == wanted, path


def _has_one_heading(path: str, html: str) -> None:
    assert len(find(html, "h1")) == 1, f"{path} needs exactly one h1"


def _has_unique_ids(path: str, html: str) -> None:
    ids = [each.attributes["id"] for each in read(html) if "id" in each.attributes]
    assert len(ids) == len(set(ids)), f"{path}: an id stands twice"
    for each in read(html):
        for name in ("aria-labelledby", "aria-describedby"):
            for wanted in each.attributes.get(name, "").split():
                assert wanted in ids or wanted == "dialog-title", f"{path}: no id {wanted}"


def _has_labelled_inputs(path: str, html: str) -> None:
    elements = read(html)
    labelled = {each.attributes.get("for") for each in elements if each.tag == "label"}
    for each in elements:
        if each.tag not in ("input", "select", "textarea"):
            continue
        if each.attributes.get("type") in ("hidden", "submit") or "label" in each.parents:
            continue
        hidden = each.attributes.get("aria-hidden") == "true"
        hidden = hidden or bool(each.attributes.get("aria-label", "").strip())
        assert hidden or each.attributes.get("id") in labelled, f"{path}: {each.attributes}"


def _has_nothing_inline(path: str, html: str) -> None:
    for each in read(html):
        assert each.tag != "style", path
        assert "style" not in each.attributes, f"{path}: {each.attributes}"
        assert each.tag != "script" or each.attributes.get("src"), path
        handlers = [name for name in each.attributes if re.match(r"on\w+|hx-on", name)]
        assert not handlers, f"{path}: {handlers}"


def _has_a_token_in_every_post(path: str, html: str) -> None:
    posts = find(html, "form", method="post")
    assert len(find(html, "input", name="csrf_token")) == len(posts), path


def test_every_icon_is_in_the_sprite() -> None:
    names = set(re.findall(r'<symbol id="([\w-]+)"', SPRITE.read_text()))
    sources = [*TEMPLATES, *(ROOT / "webapp" / "views").glob("*.py")]
    used: set[str] = set()
    for path in sources:
        text = path.read_text()
        used |= set(re.findall(r'ui\.icon\("([\w-]+)"', text))
        used |= set(re.findall(r'ui\.empty\("([\w-]+)"', text))
    assert used
    assert used <= names, f"not in the sprite: {sorted(used - names)}"


def test_badges_and_marks_name_icons_of_the_sprite() -> None:
    from webapp.views.delivery_words import DELIVERY_STATUSES
    from webapp.views.drift import DRIFTS, SERVICE_SYNCS
    from webapp.views.overview import CARDS
    from webapp.views.policies import REMEDIES
    from webapp.views.run_words import RUN_STATUSES
    from webapp.views.timeline import MARKS
    from webapp.views.wording import STATUSES, SYNC_STATES

    names = set(re.findall(r'<symbol id="([\w-]+)"', SPRITE.read_text()))
    badges = [*MARKS.values(), *STATUSES.values(), *SYNC_STATES.values(), *DRIFTS.values()]
    badges += [*SERVICE_SYNCS.values(), *RUN_STATUSES.values(), *REMEDIES.values()]
    badges += DELIVERY_STATUSES.values()
    assert {badge.icon for badge in badges} | {card[3] for card in CARDS} <= names


def test_fragments_are_short() -> None:
    for path in TEMPLATES:
        if path.name.startswith("_"):
            lines = len(path.read_text().splitlines())
            assert lines <= LONGEST_FRAGMENT, f"{path.name} has {lines} lines: split it"


def test_vendored_files_bring_their_licence() -> None:
    for folder in (ROOT / "static" / "vendor").iterdir():
        assert (folder / "LICENSE").is_file(), folder.name
