"""What a bulk action was about, in words: which findings or appointments somebody chose."""

from collections.abc import Callable
from datetime import date

from flask_babel import LazyString, format_date
from flask_babel import lazy_gettext as _l

from webapp.extensions import db
from webapp.models.appointment import AppointmentStatus, Origin
from webapp.models.bulk import BulkAction, BulkKind
from webapp.models.discrepancy import DiscrepancyType
from webapp.models.service import Service
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import require_company_id
from webapp.notify.words import ngettext
from webapp.views.appointment_list import PERIODS, SYNC_GROUPS
from webapp.views.review_queue import AGES
from webapp.views.wording import DISCREPANCIES, ORIGINS, STATUSES, SYNC_STATES
from webapp.views.words import gettext as _

SEARCHED = "is_searched"
"""In a scope: a customer was looked for, too; whom, isn't kept."""


def describe_choice(bulk: BulkAction) -> str:
    """The filters as `label: value · …`, or how many were ticked."""
    if "ticked" in bulk.scope:
        count = int(bulk.scope["ticked"])
        return ngettext("%(num)s ticked one by one", "%(num)s ticked one by one", count)
    kept = bulk.scope.get("filters", {})
    said = [
        f"{label}: {_say(name, str(kept[name]))}" for name, label in _LABELS.items() if name in kept
    ]
    said += [_("a search for a customer")] if bulk.scope.get(SEARCHED) else []
    if said:
        return " · ".join(said)
    return _("All appointments") if bulk.kind is BulkKind.CANCEL else _("The whole queue")


def _say(name: str, value: str) -> str:
    """A value as its filter shows it; one that is known no more, as it was kept."""
    try:
        return str(_VALUES[name](value)) if name in _VALUES else value
    except (KeyError, ValueError):
        return value


def _service_name(value: str) -> str:
    service = db.session.get(Service, (require_company_id(), int(value)))
    return service.name if service else f"#{value}"


def _sync(value: str) -> object:
    group, _colon, state = value.partition(":")
    return SYNC_STATES[SyncState(state)].label if state else SYNC_GROUPS[group]


def _day(value: str) -> str:
    return str(format_date(date.fromisoformat(value), "medium"))


_LABELS: dict[str, LazyString] = {
    "type": _l("What is wrong"),
    "code": _l("Code"),
    "origin": _l("Origin"),
    "service": _l("Service"),
    "age": _l("Open for"),
    "period": _l("Period"),
    "from": _l("From"),
    "to": _l("To"),
    "sync": _l("Sync"),
    "status": _l("Status"),
}
_VALUES: dict[str, Callable[[str], object]] = {
    "type": lambda value: DISCREPANCIES[DiscrepancyType(value)],
    "origin": lambda value: ORIGINS[Origin(value)],
    "service": _service_name,
    "age": lambda value: AGES[int(value)],
    "period": lambda value: PERIODS[value],
    "from": _day,
    "to": _day,
    "sync": _sync,
    "status": lambda value: STATUSES[AppointmentStatus(value)].label,
}
