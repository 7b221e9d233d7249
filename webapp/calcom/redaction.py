"""What must not be kept or shown: secrets in a webhook's body, names and keys in errors."""

import re
from collections.abc import Iterable, Mapping

from webapp.calcom import untrusted

DETAIL_LIMIT = 200
_DEEPEST = 20
_MOST_KEYS = 200

# BOOKING_REQUESTED carries oneTimePassword; the rest are secrets of conferencing and calendars.
_SECRET_KEY = re.compile(
    r"password|passcode|secret|token|apikey|authorization|credential|privatekey|cookie"
)
_SENSITIVE_TEXT = re.compile(
    r"""
      bearer\s+\S+                    # an Authorization header
    | \bcal_\S+                       # an API key
    | uid\s*[=:]\s*[\w-]+             # a booking's uid opens the booking to anyone
    | \S+@\S+                         # an e-mail address
    | \bhttps?://\S+
    | [\w-]{20,}                      # uids, keys, hashes
    | \+?\d[\d\s()/-]{6,}\d           # a telephone number
    """,
    re.IGNORECASE | re.VERBOSE,
)


def redact(body: Mapping[str, object]) -> dict[str, object]:
    """A webhook's parsed body without anything secret, at any depth, fit to be stored as jsonb."""
    return _clean_object(body, 0)


def redact_detail(words: str, *, secrets: Iterable[str] = ()) -> str:
    """Cal.com's own message on one line, without keys, uids, addresses; at most 200 characters."""
    for secret in secrets:
        words = words.replace(secret, "…") if secret else words
    shortened = untrusted.line(words, 2_000)
    return untrusted.line(_SENSITIVE_TEXT.sub("…", shortened), DETAIL_LIMIT)


def _clean(value: object, depth: int) -> object:
    if isinstance(value, str):
        return untrusted.text(value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, (int, float)):
        return _clean_number(value)
    if depth >= _DEEPEST:
        return None
    if isinstance(value, list):
        return [_clean(each, depth + 1) for each in untrusted.items(value)]
    return _clean_object(untrusted.mapping(value), depth)


def _clean_number(value: int | float) -> int | float | None:
    whole = untrusted.integer(value) if isinstance(value, int) else None
    return whole if whole is not None else untrusted.number(value)


def _clean_object(pairs: Mapping[str, object], depth: int) -> dict[str, object]:
    kept = [pair for pair in pairs.items() if not _is_secret(pair[0])][:_MOST_KEYS]
    return {untrusted.line(key, 200): _clean(value, depth + 1) for key, value in kept}


def _is_secret(key: str) -> bool:
    return _SECRET_KEY.search(re.sub(r"[^a-z]", "", key.lower())) is not None
