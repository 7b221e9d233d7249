"""What a person does at the desk, and what both sides then say of it: the words of chaos tests."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from tests.desk import Desk, in_days
from webapp import clock
from webapp.extensions import db
from webapp.models.appointment import Appointment
from webapp.models.history import HistoryEvent
from webapp.models.tenancy import as_company

OPERATIONS = ("create", "reschedule", "cancel")
FIRST_DAY, SECOND_DAY = 2, 4


@dataclass(frozen=True)
class Act:
    """One thing that a person asks for, with what it comes to where all goes well."""

    operation: str
    events_before: tuple[str, ...]
    event: str
    mails: tuple[str, ...]
    live_after: int

    @property
    def at_calcom(self) -> str:
        return f"bookings.{self.operation}"

    @property
    def mails_before(self) -> tuple[str, ...]:
        return self.mails[:-1]

    @property
    def live_before(self) -> int:
        return 0 if self.operation == "create" else 1


ACTS = {
    "create": Act("create", (), "booked", ("created",), 1),
    "reschedule": Act(
        "reschedule", ("booked", "pushed"), "rescheduled", ("created", "rescheduled"), 1
    ),
    "cancel": Act("cancel", ("booked", "pushed"), "cancelled", ("created", "cancelled"), 0),
}


def prepare(desk: Desk, act: Act) -> int | None:
    """What has to stand on both sides before the act; None for a create."""
    if act.operation == "create":
        return None
    appointment_id = desk.book(in_days(FIRST_DAY))
    desk.work()
    # Long enough for a replica to have caught up with it.
    clock.advance(timedelta(seconds=10))
    return appointment_id


def perform(desk: Desk, act: Act, appointment_id: int | None) -> int:
    """The act itself; returns the appointment. Nothing is sent yet."""
    if appointment_id is None:
        return desk.book(in_days(SECOND_DAY))
    if act.operation == "reschedule":
        desk.move(appointment_id, in_days(SECOND_DAY))
    else:
        desk.cancel(appointment_id)
    return appointment_id


def history(desk: Desk, appointment_id: int) -> list[tuple[str, str | None]]:
    """`(kind, code)` of each entry of the timeline, oldest first."""
    with as_company(desk.company.id):
        rows = db.session.scalars(
            select(HistoryEvent)
            .where(HistoryEvent.appointment_id == appointment_id)
            .order_by(HistoryEvent.id)
        )
        return [(row.kind.value, row.data.get("code")) for row in rows]


def sync_key(desk: Desk, appointment_id: int) -> str:
    with as_company(desk.company.id):
        row = db.session.get_one(Appointment, (desk.company.id, appointment_id))
        return str(row.sync_key)


def starts_of_live(desk: Desk) -> list[datetime]:
    return [datetime.fromisoformat(each["start"]) for each in desk.cal.live_bookings()]


def assert_they_agree(desk: Desk, appointment_id: int) -> None:
    """Ours says what Cal.com's only live booking says, or neither has one; nothing is open."""
    row = desk.appointment(appointment_id)
    assert row.calcom_sync_status.value == "synced"
    assert not row.requires_manual_review
    assert starts_of_live(desk) == ([row.starts_at] if row.is_live else [])
    assert desk.open_findings() == []
