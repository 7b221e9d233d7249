"""The kinds of values the API takes: strict, bounded, and the same in code and document."""

import re
from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any
from zoneinfo import available_timezones

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from webapp.sync.customers import InvalidEmail, InvalidPhone, clean_email, clean_phone
from webapp.views.access import LARGEST_ID
from webapp.views.forms.fields import (
    LONGEST_EMAIL,
    LONGEST_NAME,
    LONGEST_NOTES,
    LONGEST_PHONE,
    LONGEST_REASON,
)
from webapp.views.local_time import FIRST_YEAR, LAST_YEAR

MOST_GUESTS = 10

_INSTANT = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})", re.ASCII
)


class Received(BaseModel):
    """What clients send: nothing is guessed, and a name we don't know is an error."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Sent(BaseModel):
    """What we answer."""

    model_config = ConfigDict(frozen=True)


def _read_instant(value: Any) -> datetime:
    """An RFC 3339 instant, in UTC; raises PydanticCustomError."""
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        raise PydanticCustomError(
            "instant",
            "must be an RFC 3339 instant with a zone, such as 2026-11-20T14:30:00+01:00"
            " (in an address + is written %2B)",
        )
    try:
        instant = datetime.fromisoformat(value.upper())
    except ValueError:
        raise PydanticCustomError("instant", "there is no such day or time") from None
    if not FIRST_YEAR <= instant.year <= LAST_YEAR:
        raise PydanticCustomError(
            "instant_range",
            "must lie in the years {first} to {last}",
            {"first": FIRST_YEAR, "last": LAST_YEAR},
        )
    return instant.astimezone(UTC)


def _read_email(text: str) -> str:
    try:
        found = clean_email(text)
    except InvalidEmail:
        found = None
    if found is None:
        raise PydanticCustomError("email", "must be an e-mail address")
    return found


def _read_phone(text: str) -> str:
    try:
        found = clean_phone(text)
    except InvalidPhone:
        found = None
    if found is None:
        raise PydanticCustomError(
            "phone", "must be a phone number with its country code, such as +4930123456"
        )
    return found


def _read_zone(text: str) -> str:
    if text not in _zones():
        raise PydanticCustomError("time_zone", "must be an IANA time zone, such as Europe/Berlin")
    return text


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _digits(value: Any) -> Any:
    """Out of an address: plain digits, not what Python would take besides."""
    if isinstance(value, str) and not re.fullmatch(r"\d{1,19}", value, re.ASCII):
        raise PydanticCustomError("int", "must be a whole number")
    return int(value) if isinstance(value, str) else value


def _yes_or_no(value: Any) -> Any:
    if isinstance(value, str) and value not in ("true", "false"):
        raise PydanticCustomError("bool", "must be true or false")
    return value == "true" if isinstance(value, str) else value


# PostgreSQL keeps no NUL in text.
_NO_NUL = r"^[^\x00]*$"
_NOT_BLANK = r"^[^\x00]*[^\s\x00][^\x00]*$"

Instant = Annotated[
    datetime,
    BeforeValidator(_read_instant),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
Id = Annotated[int, Field(ge=1, le=LARGEST_ID)]
Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME, pattern=_NOT_BLANK)]
Notes = Annotated[str, Field(max_length=LONGEST_NOTES, pattern=_NO_NUL)]
Reason = Annotated[str, Field(min_length=1, max_length=LONGEST_REASON, pattern=_NOT_BLANK)]
Email = Annotated[
    str,
    Field(max_length=LONGEST_EMAIL, json_schema_extra={"format": "email"}),
    AfterValidator(_read_email),
]
Phone = Annotated[
    str,
    Field(max_length=LONGEST_PHONE, examples=["+4930123456"]),
    AfterValidator(_read_phone),
]
TimeZone = Annotated[
    str, Field(max_length=64, examples=["Europe/Berlin"]), AfterValidator(_read_zone)
]
QueryId = Annotated[Id, BeforeValidator(_digits)]
QueryFlag = Annotated[bool, BeforeValidator(_yes_or_no)]
PageSize = Annotated[int, Field(ge=1, le=100), BeforeValidator(_digits)]
