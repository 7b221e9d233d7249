"""What each type of notification is called, one appointment or many, in the reader's language."""

from flask_babel import LazyString
from flask_babel import lazy_gettext as _l

from webapp.models.notification import MANY, NEWS, Notification, NotificationType
from webapp.notify.threshold_words import title_of_threshold
from webapp.notify.words import ngettext

TITLES: dict[NotificationType, LazyString] = {
    NotificationType.ORPHANED_LOCAL: _l("Appointment exists here but not in Cal.com"),
    NotificationType.ORPHANED_CALCOM: _l("Appointment exists in Cal.com but not here"),
    NotificationType.DATA_MISMATCH: _l("Appointment differs between here and Cal.com"),
    NotificationType.VERIFICATION_ERROR: _l("Appointment could not be verified"),
    NotificationType.SYNC_FAILED: _l("Appointment could not be sent to Cal.com"),
    NotificationType.CONNECTION_BROKEN: _l("The connection to Cal.com is broken"),
    NotificationType.WEBHOOK_SILENT: _l("Cal.com's webhook is silent"),
    NotificationType.BOOKING_ADOPTED: _l("A booking found on Cal.com was taken over"),
    NotificationType.VERIFICATION_UNTRUSTED: _l(
        "A verification found more missing than can be believed; nothing was flagged"
    ),
    NotificationType.BULK_FINISHED: _l("Your bulk action has ended"),
    NotificationType.CHANNEL_FAILED: _l("A message could not be sent"),
    NotificationType.THRESHOLD_CROSSED: _l("A threshold is crossed"),
    NotificationType.DELIVERY_FAILED: _l("What Cal.com's webhook brought could not take effect"),
}


def title_of(item: Notification) -> str:
    """The item in one line, e.g. `Appointment differs between here and Cal.com #12`."""
    if item.subject == MANY:
        return _many(item.type, item.open_findings or item.repeat_count)
    if item.type is NotificationType.THRESHOLD_CROSSED:
        return title_of_threshold(item.parameters)
    number = f" #{item.appointment_id}" if item.appointment_id else ""
    return f"{TITLES[item.type]}{number}"


def is_news(item: Notification) -> bool:
    """Whether it only says that something has happened; nobody has to see to it."""
    return item.type in NEWS or bool(item.parameters.get("is_over"))


def _many(type_: NotificationType, count: int) -> str:
    match type_:
        case NotificationType.ORPHANED_LOCAL:
            return ngettext(
                "%(num)s appointment exists here but not in Cal.com",
                "%(num)s appointments exist here but not in Cal.com",
                count,
            )
        case NotificationType.ORPHANED_CALCOM:
            return ngettext(
                "%(num)s appointment exists in Cal.com but not here",
                "%(num)s appointments exist in Cal.com but not here",
                count,
            )
        case NotificationType.DATA_MISMATCH:
            return ngettext(
                "%(num)s appointment differs between here and Cal.com",
                "%(num)s appointments differ between here and Cal.com",
                count,
            )
        case NotificationType.VERIFICATION_ERROR:
            return ngettext(
                "%(num)s appointment could not be verified",
                "%(num)s appointments could not be verified",
                count,
            )
        case NotificationType.SYNC_FAILED:
            return ngettext(
                "%(num)s appointment could not be sent to Cal.com",
                "%(num)s appointments could not be sent to Cal.com",
                count,
            )
    return f"{TITLES[type_]} ({count})"
