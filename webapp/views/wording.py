"""What we call things: one table per enumeration, with the colour and icon that go with it."""

from enum import StrEnum
from typing import NamedTuple

from flask import Flask
from flask_babel import LazyString
from flask_babel import lazy_gettext as _l

from webapp.models.api_token import Scope
from webapp.models.appointment import AppointmentStatus, Origin
from webapp.models.discrepancy import Action, DiscrepancyType, Resolution
from webapp.models.notification import NotificationType
from webapp.models.preference import MailWish
from webapp.models.sync_state import SyncState
from webapp.models.user import Role
from webapp.notify.wording import TITLES as NOTIFICATIONS
from webapp.notify.wording import is_news, title_of
from webapp.sync.policies import HeldBack


class Badge(NamedTuple):
    label: LazyString
    colour: str
    icon: str


class Button(NamedTuple):
    label: LazyString
    icon: str


SYNC_STATES: dict[StrEnum, Badge] = {
    SyncState.SYNCED: Badge(_l("Synchronised"), "green", "check"),
    SyncState.PENDING: Badge(_l("On its way"), "yellow", "clock"),
    SyncState.VERIFICATION_PENDING: Badge(_l("Verifying"), "yellow", "clock"),
    SyncState.FAILED: Badge(_l("Failed"), "red", "x"),
    SyncState.ORPHANED_LOCAL: Badge(_l("Missing on Cal.com"), "red", "cloud-question"),
    SyncState.ORPHANED_CALCOM: Badge(_l("Only on Cal.com"), "red", "cloud"),
}
STATUSES: dict[StrEnum, Badge] = {
    AppointmentStatus.SCHEDULED: Badge(_l("Scheduled"), "blue", "calendar-event"),
    AppointmentStatus.PENDING: Badge(_l("Awaits confirmation"), "yellow", "clock"),
    AppointmentStatus.CONFIRMED: Badge(_l("Confirmed"), "blue", "circle-check"),
    AppointmentStatus.CANCELLED: Badge(_l("Cancelled"), "secondary", "ban"),
    AppointmentStatus.COMPLETED: Badge(_l("Completed"), "secondary", "checks"),
    AppointmentStatus.NO_SHOW: Badge(_l("No-show"), "orange", "user"),
}
DISCREPANCIES: dict[DiscrepancyType, LazyString] = {
    DiscrepancyType.ORPHANED_LOCAL: _l("Exists here but not in Cal.com"),
    DiscrepancyType.ORPHANED_CALCOM: _l("Exists in Cal.com but not here"),
    DiscrepancyType.DATA_MISMATCH: _l("The two sides differ"),
    DiscrepancyType.VERIFICATION_ERROR: _l("Could not be verified"),
    DiscrepancyType.SYNC_FAILED: _l("Could not be sent to Cal.com"),
}
ACTIONS: dict[Action, Button] = {
    Action.RETRY: Button(_l("Retry"), "refresh"),
    Action.PUSH_AGAIN: Button(_l("Push again"), "upload"),
    Action.TAKE_REMOTE: Button(_l("Take Cal.com's version"), "download"),
    Action.KEEP_OURS: Button(_l("Keep ours"), "upload"),
    Action.ADOPT: Button(_l("Adopt"), "link"),
    Action.CANCEL_REMOTE: Button(_l("Cancel on Cal.com"), "calendar-x"),
    Action.DISMISS: Button(_l("Dismiss"), "eye-off"),
}
NOTIFICATION_PAGES = {
    NotificationType.WEBHOOK_SILENT: "deliveries.index",
    NotificationType.VERIFICATION_UNTRUSTED: "incidents.index",
    NotificationType.THRESHOLD_CROSSED: "monitoring.show",
}
"""Where an item leads that is about no appointment; the overview where nothing is said."""

ORIGINS: dict[Origin, LazyString] = {
    Origin.RETELL: _l("Telephone"),
    Origin.ADMIN: _l("This desk"),
    Origin.API: _l("API"),
    Origin.CALCOM: _l("Cal.com"),
    Origin.SYSTEM: _l("Lockstep"),
}
ROLES: dict[Role, LazyString] = {
    Role.ADMIN: _l("Admin"),
    Role.MANAGER: _l("Manager"),
    Role.STAFF: _l("Staff"),
}
RESOLUTIONS: dict[Resolution, LazyString] = {
    Resolution.BY_ITSELF: _l("settled by itself"),
    Resolution.RETRIED: _l("settled by a retry"),
    Resolution.PUSHED_AGAIN: _l("settled by pushing again"),
    Resolution.TOOK_REMOTE: _l("settled by taking Cal.com's version"),
    Resolution.KEPT_OURS: _l("settled by keeping ours"),
    Resolution.ADOPTED: _l("settled by adopting it"),
    Resolution.CANCELLED_REMOTE: _l("settled by cancelling it on Cal.com"),
    Resolution.CHANGED: _l("settled by a later change"),
    Resolution.DISMISSED: _l("dismissed"),
    Resolution.BY_POLICY: _l("settled by your company's policy"),
}
HELD_BACK: dict[str, LazyString] = {
    HeldBack.POLICY: _l("The policy says to flag it."),
    HeldBack.CONFLICT: _l("The policies for start and status contradict each other here."),
    HeldBack.FAILED_PUSH: _l("A change made here could not be sent to Cal.com."),
    HeldBack.CANCELLED_HERE: _l("It was cancelled here and is not brought back by itself."),
    HeldBack.OVER: _l("It is over: completed or a no-show."),
    HeldBack.PAST: _l("It has begun, so nothing can be pushed any more."),
    HeldBack.NOT_OURS_TO_SAY: _l("Only Cal.com can confirm a booking."),
    HeldBack.REPEATED: _l("It was put right within the last 24 hours already, and differs again."),
    HeldBack.TOO_MANY_MAILS: _l(
        "Your policies have had many customers mailed within an hour: look before more are."
    ),
}
SCOPES: dict[Scope, LazyString] = {
    Scope.APPOINTMENTS_READ: _l("Read appointments with their customers, and services"),
    Scope.APPOINTMENTS_WRITE: _l("Book, move and cancel appointments, and read them"),
    Scope.STATS_READ: _l("Read the numbers of the overview"),
}
MAIL_WISHES: dict[MailWish, LazyString] = {
    MailWish.AT_ONCE: _l("At once"),
    MailWish.DAILY: _l("Once a day"),
    MailWish.NEVER: _l("Never"),
}
ADDRESS_REFUSALS: dict[str, LazyString] = {
    "malformed": _l("This is not an address of a service that Lockstep knows."),
    "scheme": _l("This service cannot be used: only chat and text message services can."),
    "parameter": _l(
        "This address has a parameter that cannot be used, e.g. a template or a redirect. Leave it"
        " out."
    ),
    "private": _l("This address lies in a private network, which your operator does not allow."),
    "unresolvable": _l("The host in this address cannot be found."),
}
REFUSALS: dict[str, LazyString] = {
    "in_past": _l("This time has passed. Choose one that is still to come."),
    "not_live": _l("This appointment is cancelled or over and can no longer be changed."),
    "service_not_offered": _l("This service is no longer offered. Choose another one."),
    "customer_erased": _l("This customer's data was erased. Book for a new customer."),
    "unchanged": _l("This is the time it has already. Choose another one."),
    "already_started": _l("This appointment has already begun and can no longer be changed."),
    "not_begun": _l("This appointment has not begun yet. Mark it once it has."),
    "not_confirmed": _l("Cal.com still awaits a confirmation of this appointment."),
    "on_its_way": _l(
        "A change of this appointment is on its way to Cal.com. Try again in a moment."
    ),
    "booked_already": _l("This customer has an appointment of this service at this time already."),
    "changed_meanwhile": _l(
        "Somebody changed this appointment while you were writing. Nothing was saved."
    ),
}


def sentence(text: object) -> str:
    """Our lower-case phrase as the beginning of a line."""
    return str(text)[:1].upper() + str(text)[1:]


def register(app: Flask) -> None:
    app.add_template_filter(title_of)
    app.add_template_filter(is_news)
    app.add_template_filter(sentence)
    app.jinja_env.globals.update(
        SYNC_STATES=SYNC_STATES,
        STATUSES=STATUSES,
        DISCREPANCIES=DISCREPANCIES,
        ACTIONS=ACTIONS,
        RESOLUTIONS=RESOLUTIONS,
        NOTIFICATIONS=NOTIFICATIONS,
        ORIGINS=ORIGINS,
        ROLES=ROLES,
        HELD_BACK=HELD_BACK,
    )
