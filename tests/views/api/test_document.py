"""The OpenAPI document is true: schemathesis asks what it says, and what it forbids, and compares.

`make test` tries each operation a few times, `make check` many; both always with the same cases.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis import checks as known_checks
from schemathesis.schemas import APIOperation, BaseSchema
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    ignored_auth,
    missing_required_header,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tests.factories import Tenant, Token, make_appointment
from webapp.views.api import appointments, changes, lookups  # noqa: F401 - they describe themselves
from webapp.views.api.operations import OPERATIONS
from webapp.views.api.shapes import NoParameters

CHECKS = [
    known_checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
    ignored_auth,
    missing_required_header,
    unsupported_method,
    allow_header_conformance,
]
"""Not among them: that whatever fits the schema is taken. A time may have passed, a zone not exist,
an id be a stranger's; those are answered with problems, which the others look at."""


@dataclass(frozen=True)
class Asking:
    """Who asks, and which rows are there to ask for."""

    token: Token
    ids: dict[str, int]


NAMES = [operation.name for operation in OPERATIONS]
WITH_INPUT = [
    operation.name
    for operation in OPERATIONS
    if operation.body or operation.query is not NoParameters or "<" in operation.rule
]
"""Where there is nothing to send, nothing is forbidden."""
MODES = [(name, GenerationMode.POSITIVE) for name in NAMES] + [
    (name, GenerationMode.NEGATIVE) for name in WITH_INPUT
]


@pytest.fixture
def schema(
    app: Flask, tuned: Callable[..., None], as_in_production: None, company: Tenant
) -> BaseSchema:
    tuned(api_requests_per_minute=1_000_000)
    return schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app)


def _try(
    schema: BaseSchema, name: str, mode: GenerationMode, asking: Asking, most: int
) -> list[int]:
    """Ask `most` times; returns the statuses answered."""
    # A fixed header is neither made up nor left out; whether it is needed, `ignored_auth` tries.
    headers = {"Authorization": f"Bearer {asking.token.text}"}
    cases = _find(schema, name).as_strategy(generation_mode=mode, headers=headers)
    seen: list[int] = []

    @given(case=cases, is_aimed=st.booleans())
    @hypothesis_settings(
        max_examples=most,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Case, is_aimed: bool) -> None:
        if is_aimed and mode is GenerationMode.POSITIVE:
            _aim(case, asking.ids)
        response = case.call()
        seen.append(response.status_code)
        case.validate_response(response, checks=CHECKS)

    ask()
    return seen


def _find(schema: BaseSchema, name: str) -> APIOperation:
    operations = (found.ok() for found in schema.get_all_operations())
    return next(each for each in operations if each.definition.raw["operationId"] == name)


def _aim(case: Case, ids: dict[str, int]) -> None:
    """At rows that are there: made-up ids would all end at 404."""
    for place in (case.path_parameters, case.body, case.query):
        if isinstance(place, dict):
            for name in ids.keys() & place.keys():
                if isinstance(place[name], int) and not isinstance(place[name], bool):
                    place[name] = ids[name]


@pytest.fixture
def asking(make: Callable[..., int], company: Tenant, token: Token) -> Asking:
    ids = {"service_id": company.service_id, "customer_id": company.customer_id}
    return Asking(token, {**ids, "appointment_id": make(make_appointment, company)})


@pytest.mark.parametrize("name", NAMES)
def test_what_the_document_allows_is_answered_as_it_says(
    schema: BaseSchema, asking: Asking, name: str
) -> None:
    assert _try(schema, name, GenerationMode.POSITIVE, asking, most=20)


@pytest.mark.parametrize("name", WITH_INPUT)
def test_what_the_document_forbids_is_refused_as_it_says(
    schema: BaseSchema, asking: Asking, name: str
) -> None:
    seen = _try(schema, name, GenerationMode.NEGATIVE, asking, most=15)
    assert not [status for status in seen if status < 400]


@pytest.mark.long
@pytest.mark.parametrize(("name", "mode"), MODES, ids=lambda part: getattr(part, "value", part))
def test_the_document_holds_under_many_more_requests(
    schema: BaseSchema, asking: Asking, name: str, mode: GenerationMode
) -> None:
    assert _try(schema, name, mode, asking, most=150)
