"""Who calls: `x-retell-signature: v=<unix ms>,d=<hex>`, HMAC-SHA256 with the company's Retell key
over the raw body followed by the digits of `v` (S4.5). The instant is signed, so it can't be moved.
"""

import hashlib
import hmac
import re
from datetime import datetime, timedelta

HEADER = "x-retell-signature"
TOLERANCE = timedelta(minutes=5)

_FORM = re.compile(r"v=([0-9]{1,15}),d=([0-9a-f]{64})", re.ASCII)


def sign(raw: bytes, key: str, at: datetime) -> str:
    """The header for these bytes, signed at this instant."""
    digits = str(int(at.timestamp() * 1000))
    return f"v={digits},d={_digest(raw, key, digits)}"


def verify(raw: bytes, header: str | None, key: str | None, now: datetime) -> bool:
    """Whether the key signed exactly these bytes not longer ago, nor later, than five minutes."""
    form = _FORM.fullmatch(header or "")
    if form is None or not key:
        return False
    digits, digest = form.groups()
    age_ms = abs(now.timestamp() * 1000 - int(digits))
    is_genuine = hmac.compare_digest(_digest(raw, key, digits), digest)
    return is_genuine and age_ms <= TOLERANCE.total_seconds() * 1000


def _digest(raw: bytes, key: str, digits: str) -> str:
    return hmac.new(key.encode(), raw + digits.encode(), hashlib.sha256).hexdigest()
