"""Reading about the API: the document for programs, the page for people."""

import re

import pytest
from flask import Flask

from tests.views.conftest import Visitor
from tests.views.markup import find, read, words
from webapp.views.api.operations import OPERATIONS
from webapp.views.api.problems import MEANINGS, Code


def test_the_document_is_there_for_everybody_and_sets_no_cookie(nobody: Visitor) -> None:
    response = nobody.get("/api/v1/openapi.json")
    assert response.status_code == 200
    assert response.is_json
    assert "Set-Cookie" not in response.headers
    document = response.get_json()
    assert document["openapi"] == "3.1.0"
    assert document["servers"] == [{"url": "/api/v1"}]


def test_every_reference_in_the_document_leads_somewhere(nobody: Visitor) -> None:
    document = nobody.get("/api/v1/openapi.json")
    wanted = set(re.findall(r'"#/components/schemas/([\w.-]+)"', document.text))
    assert wanted
    assert wanted <= set(document.get_json()["components"]["schemas"])


def test_every_operation_says_what_it_needs_and_what_it_may_answer(nobody: Visitor) -> None:
    paths = nobody.get("/api/v1/openapi.json").get_json()["paths"]
    found = [operation for each in paths.values() for operation in each.values()]
    assert len(found) == len(OPERATIONS)
    for operation in found:
        answers = set(operation["responses"])
        assert {"400", "401", "403", "422", "429", "500"} <= answers, operation["operationId"]
        assert operation["security"][0]["token"]
        if "requestBody" in operation:
            assert {"409", "413", "415"} <= answers
            assert "Idempotency-Key" in {each["name"] for each in operation["parameters"]}


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_page_lists_all_there_is(nobody: Visitor, language: str) -> None:
    response = nobody.get("/api/v1/docs", **{"Accept-Language": language})
    assert response.status_code == 200
    page = response.text
    for operation in OPERATIONS:
        [heading] = find(page, "h2", id=operation.name)
        assert operation.summary in heading.text
        path = "/api/v1" + re.sub(r"<int:(\w+)>", r"{\1}", operation.rule)
        assert path in page
    for code in Code:
        [term] = find(page, "dt", id=code.value)
        assert code.value in term.text
        assert words(MEANINGS[code].title) in words(page).replace("&#39;", "'")
    assert ("Zum Einstieg" in page) is (language == "de")


def test_every_link_within_the_page_leads_somewhere(nobody: Visitor) -> None:
    elements = read(nobody.page("/api/v1/docs"))
    ids = {each.attributes["id"] for each in elements if "id" in each.attributes}
    links = [each.attributes["href"] for each in elements if each.tag == "a"]
    inner = [link[1:] for link in links if link.startswith("#")]
    assert len(inner) > 20
    assert set(inner) <= ids


def test_it_stands_in_the_desk_for_who_is_logged_in(at_admin: Visitor, nobody: Visitor) -> None:
    assert find(at_admin.page("/api/v1/docs"), "a", href="/reviews")
    assert not find(nobody.page("/api/v1/docs"), "a", href="/reviews")


def test_it_needs_no_script_of_its_own(app: Flask, nobody: Visitor) -> None:
    scripts = {
        each.attributes["src"].split("?")[0] for each in find(nobody.page("/api/v1/docs"), "script")
    }
    assert scripts == {
        each.attributes["src"].split("?")[0] for each in find(nobody.page("/login"), "script")
    }
