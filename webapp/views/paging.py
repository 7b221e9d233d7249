"""Keyset paging: a page begins behind a row, so the thousandth costs what the first does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import Select, tuple_
from sqlalchemy.orm import Session

from webapp.views.access import LARGEST_ID

Row = TypeVar("Row")

PAGE_SIZE = 50


@dataclass(frozen=True)
class Cursor:
    """The last row of a page: what it is sorted by, then its id. `rank` sorts before both."""

    rank: int
    at: datetime
    id: int

    def __str__(self) -> str:
        return f"{self.rank}_{self.at.astimezone(UTC):%Y%m%dT%H%M%S.%f}_{self.id}"


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Some rows, and the cursor to what comes behind them."""

    rows: Sequence[Row]
    next_cursor: str | None


def parse_cursor(text: str | None) -> Cursor | None:
    """A cursor out of an address; None begins at the top, which a broken one does too."""
    try:
        rank, at, row_id = (text or "").split("_")
        instant = datetime.strptime(at, "%Y%m%dT%H%M%S.%f").replace(tzinfo=UTC)
        cursor = Cursor(int(rank), instant, int(row_id))
    except ValueError:
        return None
    return cursor if 0 <= cursor.rank <= 9 and 0 < cursor.id <= LARGEST_ID else None


def behind(keys: Sequence[Any], cursor: Cursor, *, descending: bool = False) -> Any:
    """The condition "sorts behind the cursor"; `keys` are (at, id) or (rank, at, id)."""
    values = (cursor.rank, cursor.at, cursor.id)[-len(keys) :]
    pair = tuple_(*keys)
    return pair < tuple_(*values) if descending else pair > tuple_(*values)


def fetch_page(
    session: Session, query: Select[Row], cursor_of: Callable[[Row], Cursor]
) -> Page[Row]:
    """One page of a sorted query; a row more is read to know whether there is another page."""
    return cut_page(session.scalars(query.limit(PAGE_SIZE + 1)).unique().all(), cursor_of)


def cut_page(rows: Sequence[Row], cursor_of: Callable[[Row], Cursor]) -> Page[Row]:
    """A page out of up to PAGE_SIZE + 1 rows."""
    if len(rows) <= PAGE_SIZE:
        return Page(rows, None)
    shown = rows[:PAGE_SIZE]
    return Page(shown, str(cursor_of(shown[-1])))
