"""The bookings as the page lists them: one account's, in the account's own time zone."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from webapp.sandbox.core import Sandbox
from webapp.sandbox.records import Account, Booking
from webapp.sandbox.wanted import Wanted

SHOWN = 25


@dataclass(frozen=True)
class Row:
    """A booking as the page shows it, its times in the host's zone."""

    booking: Booking
    start: str
    end: str
    is_over: bool


def board_rows(
    sandbox: Sandbox, account: Account | None, *, view: str, skip: int
) -> tuple[list[Row], int]:
    """A page of the account's bookings, and how many there are: those to come, or all of them
    with the latest first."""
    if account is None:
        return [], 0
    now = sandbox.clock.now()
    upcoming = view == "upcoming"
    wanted = Wanted(
        take=SHOWN,
        skip=skip,
        statuses=("upcoming", "unconfirmed") if upcoming else (),
        descending=not upcoming,
    )
    page, total = sandbox.listings.find(account.id, wanted, now=now, overlay={})
    zone = ZoneInfo(account.time_zone)
    return [_row(booking, zone, now) for booking in page], total


def _row(booking: Booking, zone: ZoneInfo, now: datetime) -> Row:
    return Row(
        booking=booking,
        start=booking.start.astimezone(zone).strftime("%Y-%m-%dT%H:%M"),
        end=booking.end.astimezone(zone).strftime("%H:%M"),
        is_over=booking.end <= now,
    )
