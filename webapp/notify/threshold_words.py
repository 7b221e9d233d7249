"""What a crossed threshold, or one that is over again, says in one line."""

from collections.abc import Mapping
from typing import Any

from flask_babel import format_decimal

from webapp.models.threshold import ThresholdKind
from webapp.notify.words import gettext


def title_of_threshold(parameters: Mapping[str, Any]) -> str:
    """E.g. `Orphans found within a day: 7 (threshold: at most 5)`."""
    kind = parameters.get("kind")
    if kind not in set(ThresholdKind):
        return gettext("A threshold is crossed")
    value, bound = _figure(parameters.get("value")), _figure(parameters.get("bound"))
    if parameters.get("is_over"):
        return gettext(
            "Back within the threshold: %(what)s", what=_what(ThresholdKind(kind), value)
        )
    return _crossed(ThresholdKind(kind), value, bound)


def _crossed(kind: ThresholdKind, value: str, bound: str) -> str:
    what = _what(kind, value)
    if kind is ThresholdKind.SUCCESS_RATE:
        return gettext("%(what)s (threshold: at least %(bound)s)", what=what, bound=bound)
    return gettext("%(what)s (threshold: at most %(bound)s)", what=what, bound=bound)


def _what(kind: ThresholdKind, value: str) -> str:
    match kind:
        case ThresholdKind.ORPHANS:
            return gettext("Orphans found within a day: %(value)s", value=value)
        case ThresholdKind.VERIFICATION_FAILURES:
            return gettext("Verifications failed within an hour: %(value)s", value=value)
        case ThresholdKind.QUEUE_LENGTH:
            return gettext("Findings in the review queue: %(value)s", value=value)
        case ThresholdKind.QUEUE_AGE:
            return gettext("The oldest finding in the review queue: %(value)s hours", value=value)
        case ThresholdKind.SUCCESS_RATE:
            return gettext("%(value)s %% of the day's appointments in step", value=value)
        case ThresholdKind.LATENCY:
            return gettext("Changes take %(value)s seconds on average", value=value)


def _figure(value: object) -> str:
    return str(format_decimal(round(float(value), 1))) if isinstance(value, int | float) else "?"
