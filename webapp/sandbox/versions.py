"""The `cal-api-version` header, per endpoint family (API facts, §1)."""

from flask import Request

from webapp.sandbox.refusals import Refusal

OLD = "2024-04-15"
KNOWN = frozenset({OLD, "2024-06-11", "2024-06-14", "2024-08-13", "2024-09-04"})
PINNED = {"bookings": "2024-08-13", "event_types": "2024-06-14", "slots": "2024-09-04"}


def wants_old_shape(request: Request, family: str) -> bool:
    """Whether the answer has the shape of 2024-04-15: at a missing or an unknown version.

    A known version that this family doesn't implement is a 404, as if there were no such path.
    """
    version = request.headers.get("cal-api-version", OLD)
    if version == PINNED[family]:
        return False
    if version not in KNOWN or version == OLD:
        return True
    raise Refusal(404, f"Cannot {request.method} {request.path}")
