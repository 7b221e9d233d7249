"""What the monitoring page shows of a window: everything out of the figures counted in advance, in
one statement, so that it is as quick with millions of history rows as with a few (S10)."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import text
from sqlalchemy.orm import Session

from webapp.insight.rollup import floor, percentile
from webapp.insight.stats import start_of_day
from webapp.models.appointment import Origin
from webapp.models.rollup import DAY_SECONDS, FINE_SECONDS, HOUR_SECONDS
from webapp.models.tenancy import require_company_id

OURS = ("retell", "admin", "api", "system")
OUTCOMES = ("synced", "waiting", "failed")
ORPHANS = ("orphaned_local", "orphaned_calcom")


@dataclass(frozen=True, slots=True)
class Window:
    """How far back is looked, in stretches of which length, and how far apart the points are."""

    length: timedelta
    rollup_seconds: int
    step_seconds: int


WINDOWS: dict[str, Window] = {
    "1h": Window(timedelta(hours=1), FINE_SECONDS, FINE_SECONDS),
    "24h": Window(timedelta(hours=24), HOUR_SECONDS, HOUR_SECONDS),
    "7d": Window(timedelta(days=7), HOUR_SECONDS, 6 * HOUR_SECONDS),
    "30d": Window(timedelta(days=30), DAY_SECONDS, DAY_SECONDS),
}
"""By their name in the address. Points of a day are the company's days."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure under one key within one step."""

    count: int = 0
    total: float = 0.0
    peak: float = 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """A window's figures. Shares are 0 to 1, times seconds; None: nothing to say."""

    points: list[datetime]
    cells: dict[str, dict[str, dict[datetime, Cell]]] = field(default_factory=dict)
    """Figure → key → point."""

    def keys(self, figure: str) -> list[str]:
        return sorted(self.cells.get(figure, {}))

    def count(self, figure: str, key: str = "") -> int:
        return sum(cell.count for cell in self.cells.get(figure, {}).get(key, {}).values())

    def at(self, figure: str, key: str, point: datetime) -> Cell:
        return self.cells.get(figure, {}).get(key, {}).get(point, Cell())

    def counts(self, figure: str, keys: Iterable[str] = ("",)) -> list[float | None]:
        """Per point, over these keys."""
        keys = list(keys)
        return [float(sum(self.at(figure, k, p).count for k in keys)) for p in self.points]

    def shares(self, of: Callable[[datetime], tuple[int, int]]) -> list[float | None]:
        """Per point, per cent; None where there was nothing."""
        pairs = [of(point) for point in self.points]
        return [100 * part / whole if whole else None for part, whole in pairs]

    def mean(self, figure: str, key: str = "all") -> float | None:
        cells = self.cells.get(figure, {}).get(key, {}).values()
        count = sum(cell.count for cell in cells)
        return sum(cell.total for cell in cells) / count if count else None

    def peak(self, figure: str, key: str = "all") -> float | None:
        return max((c.peak for c in self.cells.get(figure, {}).get(key, {}).values()), default=None)

    def percentile(self, figure: str, share: float) -> float | None:
        """Over the whole window; never more than the longest, which is known exactly."""
        bins = {int(key): self.count(figure, key) for key in self.keys(figure) if key.isdigit()}
        read, longest = percentile(bins, share), self.peak(figure)
        return read if read is None or longest is None else min(read, longest)

    def percentiles(self, figure: str, share: float) -> list[float | None]:
        bins = [key for key in self.keys(figure) if key.isdigit()]
        return [
            percentile({int(b): n for b in bins if (n := self.at(figure, b, point).count)}, share)
            for point in self.points
        ]

    def outcomes(self, figure: str, prefix: str) -> dict[str, int]:
        """How appointments of an origin or a service stand."""
        return {outcome: self.count(figure, f"{prefix}/{outcome}") for outcome in OUTCOMES}

    @property
    def success(self) -> float | None:
        """Of what was made here and has been settled, the share in step."""
        return share_of(
            sum(self.count("created", f"{origin}/synced") for origin in OURS),
            sum(self.count("created", f"{origin}/failed") for origin in OURS),
        )

    def success_at(self, point: datetime) -> tuple[int, int]:
        good, bad = (
            sum(self.at("created", f"{origin}/{outcome}", point).count for origin in OURS)
            for outcome in ("synced", "failed")
        )
        return good, good + bad

    def coverage_at(self, point: datetime) -> tuple[int, int]:
        seen, expected = (self.at("coverage", k, point).count for k in ("seen", "expected"))
        return seen, expected

    @property
    def made(self) -> int:
        return sum(self.count("created", key) for key in self.keys("created"))

    @property
    def orphan_rate(self) -> float | None:
        orphans = sum(self.count("found", key) for key in ORPHANS)
        return orphans / self.made if self.made else None

    @property
    def settled_alone(self) -> float | None:
        return share_of(self.count("settled", "alone"), self.count("settled", "person"))

    @property
    def longest_settling(self) -> float | None:
        peaks = [self.peak("settled", who) for who in ("alone", "person")]
        return max((peak for peak in peaks if peak is not None), default=None)

    @property
    def coverage(self) -> float | None:
        seen, expected = self.count("coverage", "seen"), self.count("coverage", "expected")
        return seen / expected if expected else None

    @property
    def miss_rate(self) -> float | None:
        return share_of(self.count("change", "missed"), self.count("change", "announced"))

    @property
    def run_seconds(self) -> float | None:
        """How long a run over a window took, on average."""
        keys = [key for key in self.keys("run") if not key.startswith("delta/")]
        cells = [cell for key in keys for cell in self.cells["run"][key].values()]
        count = sum(cell.count for cell in cells)
        return sum(cell.total for cell in cells) / count if count else None

    def origins(self) -> list[tuple[Origin, dict[str, int]]]:
        rows = [(origin, self.outcomes("created", origin.value)) for origin in Origin]
        return [(origin, row) for origin, row in rows if sum(row.values())]

    def services(self) -> list[tuple[int, dict[str, int]]]:
        ids = {int(key.partition("/")[0]) for key in self.keys("service")}
        rows = [(id_, self.outcomes("service", str(id_))) for id_ in ids]
        return sorted(rows, key=lambda row: (-sum(row[1].values()), row[0]))

    def errors(self) -> list[tuple[str, int]]:
        """Codes with counts, most first."""
        counted = [(code, self.count("error", code)) for code in self.keys("error")]
        return sorted(counted, key=lambda item: (-item[1], item[0]))


def share_of(part: int, rest: int) -> float | None:
    return part / (part + rest) if part + rest else None


def read_report(session: Session, window: Window, now: datetime, zone: ZoneInfo) -> Report:
    """Everything counted within a window, in one statement."""
    points = points_of(window, now, zone)
    is_daily = window.step_seconds == DAY_SECONDS
    step = (
        "date_trunc('day', begins_at, :zone)"
        if is_daily
        else "date_bin(:step * interval '1 second', begins_at, timestamptz '1970-01-01 00:00Z')"
    )
    rows = session.execute(
        text(
            f"SELECT {step} AS point, figure, key, sum(count)::bigint AS number,"  # noqa: S608
            " sum(total) AS total, max(peak) AS peak FROM rollups"
            " WHERE company_id = :company AND length_seconds = :length AND begins_at >= :since"
            " AND begins_at <= :now GROUP BY 1, 2, 3"
        ),
        {
            "company": require_company_id(),
            "length": window.rollup_seconds,
            "since": points[0],
            "now": now,
            **({"zone": str(zone)} if is_daily else {"step": window.step_seconds}),
        },
    )
    cells: dict[str, dict[str, dict[datetime, Cell]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        cells[row.figure][row.key][row.point] = Cell(row.number, row.total, row.peak)
    return Report(points, {figure: dict(keys) for figure, keys in cells.items()})


def points_of(window: Window, now: datetime, zone: ZoneInfo) -> list[datetime]:
    """Where each step begins, oldest first; the last is going on."""
    if window.step_seconds == DAY_SECONDS:
        today = now.astimezone(zone).date()
        return [
            start_of_day(today - timedelta(days=back), zone)
            for back in range(window.length.days - 1, -1, -1)
        ]
    step = timedelta(seconds=window.step_seconds)
    last = floor(now, window.step_seconds)
    return [last - step * back for back in range(int(window.length / step) - 1, -1, -1)]
