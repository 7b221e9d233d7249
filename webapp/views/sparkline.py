"""Small charts, drawn by the server: a line of points in a box, and what it shows in words."""

from collections.abc import Sequence
from dataclasses import dataclass

from webapp.views.formats import number
from webapp.views.words import gettext as _

WIDTH, HEIGHT, MARGIN = 96, 24, 2


@dataclass(frozen=True)
class Sparkline:
    """`points` for an SVG polyline in a box of WIDTH by HEIGHT; empty: no line yet."""

    points: str
    text: str


def draw(values: Sequence[int]) -> Sparkline:
    """A day each, oldest first; one day alone is no trend."""
    if len(values) < 2:
        return Sparkline("", _("No trend yet: it is kept from today on."))
    return Sparkline(_points(values), _tell(values))


def _points(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    step = (WIDTH - 2 * MARGIN) / (len(values) - 1)
    reach = HEIGHT - 2 * MARGIN

    def down(value: int) -> float:
        """A flat line lies in the middle."""
        share = 0.5 if high == low else (value - low) / (high - low)
        return HEIGHT - MARGIN - share * reach

    return " ".join(
        f"{MARGIN + place * step:.1f},{down(value):.1f}" for place, value in enumerate(values)
    )


def _tell(values: Sequence[int]) -> str:
    return _(
        "The last %(days)s days: from %(first)s to %(last)s, at least %(low)s, at most %(high)s.",
        days=len(values),
        first=number(values[0]),
        last=number(values[-1]),
        low=number(min(values)),
        high=number(max(values)),
    )
