"""What the API takes and gives, as types. Field descriptions are the reference's text."""

from datetime import date, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from webapp.models.appointment import AppointmentStatus, Origin
from webapp.models.run import RunStatus
from webapp.models.sync_state import SyncState
from webapp.views.api.fields import (
    MOST_GUESTS,
    Email,
    Id,
    Instant,
    Name,
    Notes,
    PageSize,
    Phone,
    QueryFlag,
    QueryId,
    Reason,
    Received,
    Sent,
    TimeZone,
)
from webapp.views.api.problems import Code


class NoParameters(Received):
    """Addresses without a query."""


class KnownCustomer(Received):
    """A customer on file."""

    id: Id


class CustomerDetails(Received):
    """A customer by their details: the one on file with this e-mail (or phone), else a new one."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["email"]}, {"required": ["phone"]}]}
    )

    name: Name
    email: Annotated[Email, Field(description="This or `phone` is needed.")] | None = None
    phone: Annotated[Phone, Field(description="With its country code.")] | None = None
    time_zone: TimeZone | None = Field(None, description="Default: the company's.")
    language: Literal["de", "en"] | None = Field(None, description="Default: the company's.")

    @model_validator(mode="after")
    def _can_be_reached(self) -> Self:
        if self.email is None and self.phone is None:
            raise PydanticCustomError("unreachable", "needs an e-mail address or a phone number")
        return self


def _which_customer(value: Any) -> str:
    has_id = "id" in value if isinstance(value, dict) else isinstance(value, KnownCustomer)
    return "known" if has_id else "details"


AnyCustomer = Annotated[
    Annotated[KnownCustomer, Tag("known")] | Annotated[CustomerDetails, Tag("details")],
    Discriminator(_which_customer),
]


class NewAppointment(Received):
    """An appointment to be made. Cal.com mails the customer once it is booked there."""

    service_id: Id = Field(description="One of `GET /services`.")
    customer: AnyCustomer
    starts_at: Instant = Field(description="It lasts as long as the service does.")
    guests: list[Email] = Field(
        default_factory=list, max_length=MOST_GUESTS, description="E-mails of who else comes."
    )
    notes: Notes = Field("", description="For the company; not sent to Cal.com.")


class NewRescheduling(Received):
    """A move to another time. Cal.com mails the customer."""

    starts_at: Instant = Field(description="The new start; the length stays.")
    reason: Reason | None = Field(None, description="The customer reads it.")


class NewCancellation(Received):
    """A cancellation. Cal.com mails the customer."""

    reason: Reason = Field(description="The customer reads it.")


class AppointmentQuery(Received):
    """Which appointments, in which order, from where on. All filters must hold."""

    status: list[AppointmentStatus] = Field(
        default_factory=list, max_length=10, description="One of these; may be repeated."
    )
    sync_status: list[SyncState] = Field(
        default_factory=list, max_length=10, description="One of these; may be repeated."
    )
    requires_review: QueryFlag | None = Field(None, description="Flagged for a person, or not.")
    service_id: QueryId | None = Field(None, description="For this service.")
    customer_id: QueryId | None = Field(None, description="For this customer.")
    starts_from: Instant | None = Field(None, description="Starts then or later.")
    starts_before: Instant | None = Field(None, description="Starts earlier than that.")
    updated_since: Instant | None = Field(
        None,
        description="Something happened to it then or later: booked, moved, cancelled, pushed,"
        " flagged, settled. Routine verification that found agreement doesn't count.",
    )
    order: Literal["id", "starts_at"] = Field(
        "id",
        description="`id` is the order of creation: while you page, nothing is left out or comes"
        " twice. Under `starts_at` an appointment that is moved meanwhile may.",
    )
    limit: PageSize = Field(50, description="How many a page holds at most.")
    cursor: str | None = Field(
        None, max_length=500, description="`next_cursor` of the page before, unchanged."
    )


class ServiceRef(Sent):
    id: int
    name: str


class Service(Sent):
    """What the company offers."""

    id: int
    name: str
    duration_minutes: int
    price_cents: int
    currency: str
    is_offered: bool = Field(description="Whether it can be booked.")
    is_connected: bool = Field(description="Whether it has an event type on Cal.com.")


class ServiceList(Sent):
    data: list[Service]


class Customer(Sent):
    id: int
    name: str
    email: str | None
    phone: str | None


class SyncError(Sent):
    code: str = Field(description="Such as SLOT_UNAVAILABLE, TIMEOUT or DATA_MISMATCH.")
    message: str | None


class Sync(Sent):
    """How an appointment stands towards Cal.com."""

    appointment_id: int
    status: SyncState
    is_settled: bool = Field(description="Whether nothing is on its way or being verified.")
    calcom_booking_uid: str | None
    error: SyncError | None
    requires_review: bool = Field(description="Whether a person has to look at it.")
    flagged_at: datetime | None
    initiated_at: datetime | None = Field(description="When the latest change was made here.")
    last_attempt_at: datetime | None
    verified_at: datetime | None = Field(description="When both sides were last seen to agree.")


class Appointment(Sent):
    id: int
    status: AppointmentStatus
    starts_at: datetime
    ends_at: datetime
    service: ServiceRef
    customer: Customer
    guests: list[str]
    notes: str
    cancellation_reason: str | None
    origin: Origin = Field(description="Who made it.")
    created_at: datetime
    sync: Sync


class AppointmentPage(Sent):
    data: list[Appointment]
    next_cursor: str | None = Field(description="Where the next page begins; null: there is none.")


class LastVerification(Sent):
    status: RunStatus
    started_at: datetime
    finished_at: datetime | None
    compared: int
    disagreed: int


class Stats(Sent):
    """Appointments from 30 days back on, all of the future included, by how they stand."""

    since: date = Field(description="The first day that counts, on the company's clock.")
    synced: int
    pending: int = Field(description="On their way, or being verified.")
    failures: int = Field(description="Failed, or on one side only.")
    total: int = Field(description="synced + pending + failures")
    requires_review: int = Field(description="Flagged for a person; counts across the others.")
    waiting_changes: int = Field(description="Changes that have not reached Cal.com yet.")
    paused_at: datetime | None = Field(description="Since when sending to Cal.com is paused.")
    last_verification: LastVerification | None


class ErrorOfField(Sent):
    field: str = Field(description="Its path, such as `customer.email`; empty: the whole.")
    code: str
    message: str


class Problem(Sent):
    """What every error answers (RFC 9457)."""

    type: str
    title: str
    status: int
    code: Code = Field(description="For programs: it stays when wording changes.")
    detail: str | None = None
    errors: list[ErrorOfField] | None = None
    appointment_id: int | None = Field(
        None, description="With `already_booked`: the appointment there is."
    )
    request_id: str = Field(description="To be quoted when you ask about it.")
