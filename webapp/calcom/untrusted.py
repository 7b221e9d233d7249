"""Values that a stranger sent: types are checked, lengths capped, and only ShapeError is raised.

What comes out can be stored: no NUL, no lone surrogate, no number beyond 64 bits or not finite.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

LINE_LIMIT = 500
TEXT_LIMIT = 10_000
EMAIL_LIMIT = 320
ITEMS_LIMIT = 1_000
_BIGGEST = 2**63 - 1
_METADATA_LIMIT = 100

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_UID = re.compile(r"[A-Za-z0-9_-]{1,100}")
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})"
)


class ShapeError(ValueError):
    """A value without which the whole means nothing; the text names the field, never the value."""


def parse_json(raw: bytes) -> object:
    """Strict JSON in UTF-8; raises ShapeError, also for NaN, endless digits and deep nesting."""
    try:
        parsed: object = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise ShapeError("not JSON") from None
    return parsed


def mapping(value: object) -> Mapping[str, object]:
    """The object itself, or an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[object]:
    """The first thousand items of a list, or none."""
    return value[:ITEMS_LIMIT] if isinstance(value, list) else []


def text(value: object, limit: int = TEXT_LIMIT) -> str:
    """Text of several lines, cut; empty for anything that isn't text."""
    return _UNSTORABLE.sub("\ufffd", value[:limit]) if isinstance(value, str) else ""


def line(value: object, limit: int = LINE_LIMIT) -> str:
    """Text on one line (no control characters, so that it fits a mail header), cut."""
    return _CONTROL.sub(" ", text(value, limit)).strip()


def uid(value: object) -> str | None:
    """A booking's uid (22 characters, or a UUID), None if there is none.

    A number is refused: Cal.com answers 404 to the numeric id in a path.
    """
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not _UID.fullmatch(value):
        raise ShapeError("uid")
    return value


def integer(value: object) -> int | None:
    """A whole number of at most 64 bits, or None."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _BIGGEST:
        return None
    return value


def number(value: object) -> float | None:
    """A finite number, or None."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or abs(value) > _BIGGEST:
        return None
    return float(value) if math.isfinite(value) else None


def instant(value: object) -> datetime:
    """An instant in any of Cal.com's spellings: `…:00Z`, `….000Z`, `…+00:00`; aware, UTC.

    Raises ShapeError for anything else: dates without time or zone are no instants.
    """
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        raise ShapeError("time")
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ShapeError("time") from None


def optional_instant(value: object) -> datetime | None:
    """Like `instant`, but None or an empty text is None."""
    return None if value is None or value == "" else instant(value)


def metadata(value: object) -> dict[str, str | int | float | bool]:
    """The flat part of a metadata object; what is nested or can't be stored is left out."""
    return dict(_flat_pairs(mapping(value)))


def _flat_pairs(pairs: Mapping[str, object]) -> Iterator[tuple[str, str | int | float | bool]]:
    for key, value in list(pairs.items())[:_METADATA_LIMIT]:
        if isinstance(value, str):
            yield line(key, 100), text(value, 1_000)
        elif isinstance(value, bool):
            yield line(key, 100), value
        elif (whole := integer(value)) is not None:
            yield line(key, 100), whole
        elif (real := number(value)) is not None:
            yield line(key, 100), real


def _refuse_constant(_: str) -> object:
    raise ValueError("NaN and Infinity are not JSON")
