"""Describing an operation once: by its description requests are read and checked, and `document`
writes it down."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from flask import Response
from pydantic import BaseModel

from webapp.extensions import limiter
from webapp.models.api_token import Scope
from webapp.views.api.entrance import (
    blueprint,
    requests_a_minute,
    require_scope,
    whose_requests,
)
from webapp.views.api.once import Outcome, answer_once
from webapp.views.api.problems import Code
from webapp.views.api.reading import read_body, read_query
from webapp.views.api.shapes import NoParameters

View = Callable[..., Response]


@dataclass(frozen=True, kw_only=True)
class Operation:
    """What an address does. A GET has a `query` and no `body`, a POST the other way round."""

    rule: str
    """Flask's, below `/api/v1`."""
    name: str
    group: str
    scope: Scope
    answer: type[BaseModel]
    status: int = 200
    query: type[BaseModel] = NoParameters
    body: type[BaseModel] | None = None
    refusals: tuple[Code, ...] = ()
    """The problems of its own, besides those that any operation may answer."""
    summary: str = ""
    description: str = ""

    @property
    def method(self) -> str:
        return "GET" if self.body is None else "POST"


OPERATIONS: list[Operation] = []
"""In the order of the document."""


def reads(rule: str, **described: Any) -> Callable[[Callable[..., BaseModel]], View]:
    """A GET, described by Operation's fields: the function returns the body of the answer.

    It gets the path's parts, and `query` where the operation has one.
    """

    def register(function: Callable[..., BaseModel]) -> View:
        operation = _describe(function, rule, described)

        @wraps(function)
        def view(**path: Any) -> Response:
            require_scope(operation.scope)
            query = read_query(operation.query)
            more = {} if operation.query is NoParameters else {"query": query}
            return Outcome(function(**path, **more), operation.status).respond()

        return _serve(operation, view)

    return register


def writes(rule: str, **described: Any) -> Callable[[Callable[..., Outcome]], View]:
    """A POST: the function gets the path's parts and `body`, changes rows, returns an Outcome.

    It neither commits nor enqueues: `answer_once` does, and repeats nothing under the same key.
    """

    def register(function: Callable[..., Outcome]) -> View:
        operation = _describe(function, rule, described)
        model = operation.body or NoParameters

        @wraps(function)
        def view(**path: Any) -> Response:
            require_scope(operation.scope)
            read_query(operation.query)
            body = read_body(model)
            return answer_once(body, lambda: function(body=body, **path))

        return _serve(operation, view)

    return register


def _describe(function: Callable[..., Any], rule: str, described: dict[str, Any]) -> Operation:
    summary, _, description = (function.__doc__ or "").partition("\n\n")
    operation = Operation(
        rule=rule,
        name=function.__name__,
        summary=summary.strip(),
        description=" ".join(description.split()),
        **described,
    )
    OPERATIONS.append(operation)
    return operation


def _serve(operation: Operation, view: View) -> View:
    # Counted over all addresses together, and after the entrance has said whose token it is.
    limited = limiter.shared_limit(requests_a_minute, scope="api_v1", key_func=whose_requests)(view)
    blueprint.add_url_rule(
        operation.rule,
        endpoint=operation.name,
        view_func=limited,
        methods=[operation.method],
        provide_automatic_options=False,
    )
    return limited
