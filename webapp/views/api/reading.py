"""Out of a request: its body and its query, checked; what is wrong is said field by field."""

from typing import Any, TypeVar

from flask import request
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import RequestEntityTooLarge

from webapp.views.api.problems import Code, FieldError, Problem

LARGEST_BODY_BYTES = 65_536
MOST_ERRORS = 20

Model = TypeVar("Model", bound=BaseModel)


def read_body(model: type[Model]) -> Model:
    """The JSON body; raises Problem: 400 no JSON, 413 size, 415 type, 422 content."""
    if request.mimetype != "application/json":
        raise Problem(
            Code.UNSUPPORTED_MEDIA_TYPE, "Send JSON, with `Content-Type: application/json`."
        )
    raw = _raw_body()
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise _problem(error) from None


def read_query(model: type[Model]) -> Model:
    """The address's query; raises Problem (422)."""
    values: dict[str, Any] = {}
    for name, texts in request.args.lists():
        field = model.model_fields.get(name)
        is_list = field is not None and field.default_factory is list
        if len(texts) > 1 and not is_list:
            error = FieldError(name, "repeated", "may stand only once")
            raise Problem(Code.INVALID_REQUEST, errors=[error])
        values[name] = texts if is_list else texts[0]
    try:
        # Text is all an address has; the fields that are not text say how they are spelled.
        return model.model_validate(values, strict=False)
    except ValidationError as error:
        raise _problem(error) from None


def _raw_body() -> bytes:
    request.max_content_length = LARGEST_BODY_BYTES
    try:
        return request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise Problem(
            Code.BODY_TOO_LARGE, f"At most {LARGEST_BODY_BYTES} bytes are taken."
        ) from None


def _problem(error: ValidationError) -> Problem:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    if any(each["type"] == "json_invalid" for each in found):
        return Problem(Code.MALFORMED_REQUEST, f"The body is no JSON: {found[0]['msg']}.")
    return Problem(
        Code.INVALID_REQUEST,
        errors=[
            FieldError(_path(each["loc"]), each["type"], each["msg"])
            for each in found[:MOST_ERRORS]
        ],
    )


def _path(location: tuple[int | str, ...]) -> str:
    """`customer.email`; which kind of customer was meant is no part of it."""
    parts = [str(part)[:100] for part in location]
    if parts[:1] == ["customer"] and parts[1:2] in (["known"], ["details"]):
        del parts[1]
    return ".".join(parts)
