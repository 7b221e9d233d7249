"""Where a page of a list ends, as a word the client hands back. It says which list it belongs to:
under other filters it would lead nowhere sensible, so it is refused there."""

import base64
import binascii
import hashlib
import json
from datetime import UTC, datetime
from typing import NamedTuple

from pydantic import BaseModel

from webapp.views.access import LARGEST_ID
from webapp.views.api.problems import Problem, invalid

NOT_PART_OF_A_LIST = {"cursor", "limit"}


class Place(NamedTuple):
    """The last row of a page."""

    starts_at: datetime
    id: int


def write_cursor(place: Place, query: BaseModel) -> str:
    """The cursor behind a row of this list."""
    at = place.starts_at.astimezone(UTC).isoformat()
    raw = json.dumps([_fingerprint(query), at, place.id]).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def read_cursor(text: str, query: BaseModel) -> Place:
    """The place a cursor marks; raises Problem (422) for one that is none, or of another list."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        fingerprint, at, row_id = json.loads(raw)
        starts_at = datetime.fromisoformat(at)
        is_sound = type(row_id) is int and 0 < row_id <= LARGEST_ID and starts_at.tzinfo is UTC
    except (binascii.Error, ValueError, TypeError, RecursionError):
        raise _refusal() from None
    if not is_sound:
        raise _refusal()
    if fingerprint != _fingerprint(query):
        raise invalid("cursor", "other_list", "belongs to a list with other filters")
    return Place(starts_at, row_id)


def _refusal() -> Problem:
    return invalid("cursor", "cursor", "is no `next_cursor` of ours")


def _fingerprint(query: BaseModel) -> str:
    """Tells lists apart: filters and order, but not the place in it."""
    said = query.model_dump_json(exclude=NOT_PART_OF_A_LIST)
    return hashlib.sha256(said.encode()).hexdigest()[:12]
