"""The OpenAPI document: apispec writes it, from the operations' descriptions and the schemas that
pydantic gives of their types. What is served and what is described can't drift apart."""

import re
from collections import defaultdict
from functools import cache
from typing import Any

from apispec import APISpec
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from webapp.models.api_token import Scope
from webapp.views.access import LARGEST_ID
from webapp.views.api import once, problems, shapes
from webapp.views.api.operations import OPERATIONS, Operation
from webapp.views.api.problems import MEANINGS, Code

OPENAPI_VERSION = "3.1.0"
API_VERSION = "1.0.0"
BASE = "/api/v1"
SCHEME = "token"

INTRODUCTION = (
    "Appointments of your company, and how each stands towards Cal.com. Every request carries"
    " `Authorization: Bearer <token>`; an admin makes tokens under Settings, API tokens. Instants"
    " are RFC 3339, in UTC in answers. Errors are `application/problem+json` with a stable `code`."
    " Fields may be added to answers; requests with unknown fields are refused."
)
GROUPS = {
    "Appointments": "Listing, booking, moving, cancelling, and how Cal.com took it.",
    "Services": "What can be booked.",
    "Stats": "The numbers of the overview.",
}
SCOPES = {
    Scope.APPOINTMENTS_READ: "read appointments with their customers, and services",
    Scope.APPOINTMENTS_WRITE: "book, move and cancel appointments; includes reading them",
    Scope.STATS_READ: "read the numbers of the overview",
}
ANYWHERE = (
    Code.MALFORMED_REQUEST,
    Code.UNAUTHENTICATED,
    Code.INSUFFICIENT_SCOPE,
    Code.INVALID_REQUEST,
    Code.TOO_MANY_REQUESTS,
    Code.INTERNAL_ERROR,
)
ON_WRITING = (
    Code.REQUEST_IN_PROGRESS,
    Code.BODY_TOO_LARGE,
    Code.UNSUPPORTED_MEDIA_TYPE,
    Code.KEY_REUSED,
)
TEXT = {"type": "string"}
SECONDS = {"type": "integer", "minimum": 1}
HEADERS: dict[int, dict[str, tuple[str, dict[str, Any], bool]]] = {
    201: {"Location": ("The appointment's address.", TEXT, True)},
    401: {"WWW-Authenticate": ("How to authenticate.", TEXT, True)},
    403: {"WWW-Authenticate": ("Which scope is needed.", TEXT, True)},
    409: {"Retry-After": ("With `request_in_progress`: seconds to wait.", SECONDS, False)},
    429: {"Retry-After": ("Seconds to wait.", SECONDS, True)},
}
"""What answers of a status carry: name → what for, its schema, whether it is always there."""


@cache
def document() -> dict[str, Any]:
    """The document as JSON; made once, since it never changes while the process lives."""
    spec = APISpec(
        title="Lockstep API",
        version=API_VERSION,
        openapi_version=OPENAPI_VERSION,
        info={"description": INTRODUCTION},
        servers=[{"url": BASE}],
        security=[{SCHEME: []}],
        tags=[{"name": name, "description": text} for name, text in GROUPS.items()],
    )
    scopes = "; ".join(f"`{scope.value}`: {text}" for scope, text in SCOPES.items())
    spec.components.security_scheme(
        SCHEME, {"type": "http", "scheme": "bearer", "description": f"Scopes: {scopes}."}
    )
    for name, schema in _schemas()["$defs"].items():
        spec.components.schema(name, schema)
    for operation in OPERATIONS:
        spec.path(
            path=_path(operation),
            operations={operation.method.lower(): _write_operation(operation)},
        )
    return spec.to_dict()


def codes_of(operation: Operation) -> dict[int, list[Code]]:
    """Every problem an operation may answer, by status."""
    codes = {*ANYWHERE, *operation.refusals, *(ON_WRITING if operation.body else ())}
    found: dict[int, list[Code]] = defaultdict(list)
    for code in Code:
        if code in codes:
            found[MEANINGS[code].status].append(code)
    return dict(found)


@cache
def _schemas() -> dict[str, Any]:
    models: dict[type[BaseModel], JsonSchemaMode] = {shapes.Problem: "serialization"}
    for operation in OPERATIONS:
        models[operation.answer] = "serialization"
        if operation.body is not None:
            models[operation.body] = "validation"
    wanted = list(models.items())
    return models_json_schema(wanted, ref_template="#/components/schemas/{model}")[1]


def _path(operation: Operation) -> str:
    return re.sub(r"<int:(\w+)>", r"{\1}", operation.rule)


def _write_operation(operation: Operation) -> dict[str, Any]:
    written: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.group],
        "summary": operation.summary,
        "description": f"{operation.description} Scope: `{operation.scope.value}`.".strip(),
        "security": [{SCHEME: [operation.scope.value]}],
        "parameters": [*_path_parameters(operation), *_query_parameters(operation)],
        "responses": _responses(operation),
    }
    if operation.body is not None:
        written["parameters"].append(_key_parameter())
        schema = {"$ref": f"#/components/schemas/{operation.body.__name__}"}
        written["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema}},
        }
    return written


def _path_parameters(operation: Operation) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "integer", "minimum": 1, "maximum": LARGEST_ID},
        }
        for name in re.findall(r"<int:(\w+)>", operation.rule)
    ]


def _query_parameters(operation: Operation) -> list[dict[str, Any]]:
    schema = operation.query.model_json_schema(ref_template="#/components/schemas/{model}")
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            **({"description": field.pop("description")} if "description" in field else {}),
            "schema": _without_null(field),
        }
        for name, field in schema.get("properties", {}).items()
    ]


def _without_null(field: dict[str, Any]) -> dict[str, Any]:
    """A parameter that is left out is no null: addresses can't hold one."""
    field = {key: value for key, value in field.items() if (key, value) != ("default", None)}
    choices = [each for each in field.pop("anyOf", []) if each != {"type": "null"}]
    return {**field, **choices[0]} if choices else field


def _key_parameter() -> dict[str, Any]:
    return {
        "name": once.HEADER,
        "in": "header",
        "required": False,
        "description": "A word of your own for this request, such as a UUID. Sent again with the"
        " same body, the request is not carried out again: it gets the same answer, with the"
        f" header `{once.REPLAYED}: true`. Kept for a day at least, per token.",
        "schema": {
            "type": "string",
            "minLength": 1,
            "maxLength": once.LONGEST_KEY,
            "pattern": once.KEY_PATTERN,
        },
    }


def _responses(operation: Operation) -> dict[str, Any]:
    answer = {"$ref": f"#/components/schemas/{operation.answer.__name__}"}
    good = _response("Done.", "application/json", answer, operation.status)
    if operation.body is not None:
        good["headers"][once.REPLAYED] = {
            "description": "`true` where the request had been carried out before.",
            "schema": {"type": "string", "enum": ["true"]},
        }
    found = {str(operation.status): good}
    problem = {"$ref": "#/components/schemas/Problem"}
    for status, codes in sorted(codes_of(operation).items()):
        said = " ".join(f"`{code.value}`: {MEANINGS[code].title}" for code in codes)
        found[str(status)] = _response(said, problems.MEDIA_TYPE, problem, status)
    return found


def _response(said: str, media_type: str, schema: dict[str, Any], status: int) -> dict[str, Any]:
    headers = {
        name: {"description": text, "schema": kind, "required": always}
        for name, (text, kind, always) in HEADERS.get(status, {}).items()
    }
    return {
        "description": said,
        "headers": headers,
        "content": {media_type: {"schema": schema}},
    }
