"""Charts as the page carries them: numbers in an attribute for the library, and the same as a table
for whoever can't see it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from flask_babel import LazyString, format_decimal
from flask_babel import lazy_gettext as _l

from webapp.insight.monitoring import OUTCOMES, Report
from webapp.models.appointment import Origin
from webapp.views.wording import ORIGINS
from webapp.views.words import gettext as _

ORIGIN_COLOURS = {
    Origin.RETELL: "blue",
    Origin.ADMIN: "green",
    Origin.API: "orange",
    Origin.CALCOM: "secondary",
    Origin.SYSTEM: "yellow",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One series; `colour` is one of the state colours."""

    label: LazyString
    colour: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Chart:
    """`shape`: line, or bars where things are counted; `most`: the axis' fixed end."""

    name: str
    title: LazyString
    unit: str
    points: list[datetime]
    lines: list[Line]
    shape: str = "line"
    most: int | None = None

    @property
    def is_empty(self) -> bool:
        """Of what is counted, nothing; of a share or a time, none, for 0 % is one."""
        values = [value for line in self.lines for value in line.values]
        return all(value is None for value in values) if self.unit else not any(values)

    @property
    def json(self) -> str:
        return json.dumps(
            {
                "x": [int(point.timestamp()) for point in self.points],
                "unit": self.unit,
                "when": _("From"),
                "shape": self.shape,
                "most": self.most,
                "lines": [
                    {
                        "label": str(line.label),
                        "colour": line.colour,
                        "values": [None if v is None else round(v, 3) for v in line.values],
                    }
                    for line in self.lines
                ],
            }
        )

    def rows(self) -> list[tuple[datetime, list[str]]]:
        """Newest first; a dash where there was nothing."""
        return [
            (point, [self._said(line.values[index]) for line in self.lines])
            for index, point in reversed(list(enumerate(self.points)))
        ]

    def _said(self, value: float | None) -> str:
        if value is None:
            return "–"
        digits = str(format_decimal(round(value, 2 if self.unit == "s" else 1)))
        return f"{digits}\u00a0{self.unit}" if self.unit else digits


def charts_of(report: Report) -> list[Chart]:
    """The charts of the monitoring page."""
    count, found = report.counts, report.keys("found")
    queued = [report.at("queue", "", point).peak for point in report.points]
    return [
        Chart("success", _l("Appointments in step"), "%", report.points, [
            Line(_l("In step"), "green", report.shares(report.success_at)),
        ], most=100),
        Chart("latency", _l("From a change to agreement"), "s", report.points, [
            Line(_l("Half are quicker"), "blue", report.percentiles("latency", 0.5)),
            Line(_l("95 % are quicker"), "orange", report.percentiles("latency", 0.95)),
        ]),
        Chart("pushes", _l("Changes sent to Cal.com"), "", report.points, [
            Line(_l("Sent"), "green", count("push", ["pushed"])),
            Line(_l("Tried again"), "yellow", count("push", ["push_retries"])),
            Line(_l("Failed"), "red", count("push", ["push_failed"])),
        ], shape="bars"),
        Chart("origins", _l("Appointments made"), "", report.points, [
            Line(ORIGINS[origin], colour, count("created", [f"{origin}/{o}" for o in OUTCOMES]))
            for origin, colour in ORIGIN_COLOURS.items()
        ]),
        Chart("findings", _l("Findings"), "", report.points, [
            Line(_l("Found"), "red", count("found", found)),
            Line(_l("Settled"), "green", count("settled", ["alone", "person"])),
        ], shape="bars"),
        Chart("queue", _l("Review queue"), "", report.points, [
            Line(_l("Open findings"), "red", queued),
        ]),
        Chart("coverage", _l("Seen to agree by verifications"), "%", report.points, [
            Line(_l("Covered"), "blue", report.shares(report.coverage_at)),
        ], most=100),
        Chart("changes", _l("Changes made on Cal.com"), "", report.points, [
            Line(_l("Told by a webhook"), "green", count("change", ["announced"])),
            Line(_l("Only seen by looking"), "orange", count("change", ["missed"])),
        ], shape="bars"),
    ]  # fmt: skip
