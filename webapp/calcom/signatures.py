"""Who sent a webhook: `X-Cal-Signature-256`, lower-case hex HMAC-SHA256 of the raw body, no prefix.

There is no timestamp and no nonce in it: a replay is recognised by the hash of the raw body.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable

HEADER = "X-Cal-Signature-256"
# Cal.com's literal for a webhook without a secret: anybody could send that.
NO_SECRET = "no-secret-provided"  # noqa: S105 - what the header says in place of a signature

_SIGNATURE = re.compile(r"[0-9a-f]{64}")


def sign(raw: bytes, secret: str) -> str:
    """The signature that Cal.com sends for these bytes under this secret."""
    return hmac.new(secret.encode("utf-8", "surrogatepass"), raw, hashlib.sha256).hexdigest()


def verify(raw: bytes, header: str | None, secrets: Iterable[str]) -> bool:
    """Whether one of the secrets signed exactly these bytes; never raises, however odd the header.

    Several secrets are valid while one replaces another. Every one is tried in constant time; an
    empty secret never counts.
    """
    if header is None or not _SIGNATURE.fullmatch(header):
        return False
    matches = [hmac.compare_digest(sign(raw, secret), header) for secret in secrets if secret]
    return any(matches)
