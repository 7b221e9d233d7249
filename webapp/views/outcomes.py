"""Bulk actions in words: how one stands, and what became of each item and why."""

from enum import StrEnum

from flask import Flask
from flask_babel import LazyString
from flask_babel import lazy_gettext as _l

from webapp.models.bulk import BulkItem, BulkKind, BulkStatus, ItemStatus
from webapp.models.discrepancy import Resolution
from webapp.models.notification import Notification
from webapp.sync.bulk_work import CANCELLED, NO_RIGHT
from webapp.views.explanations import explain
from webapp.views.formats import number as shown
from webapp.views.wording import REFUSALS, RESOLUTIONS, Badge
from webapp.views.words import gettext as _

BULK_STATUSES: dict[StrEnum, Badge] = {
    BulkStatus.RUNNING: Badge(_l("At work"), "yellow", "clock"),
    BulkStatus.DONE: Badge(_l("Done"), "green", "check"),
    BulkStatus.CANCELLED: Badge(_l("Stopped"), "secondary", "ban"),
}
ITEM_STATUSES: dict[StrEnum, Badge] = {
    ItemStatus.SETTLED: Badge(_l("Settled"), "green", "check"),
    ItemStatus.STILL_OPEN: Badge(_l("Still requires review"), "red", "alert-triangle"),
    ItemStatus.REFUSED: Badge(_l("Not begun"), "orange", "x"),
    ItemStatus.FAILED: Badge(_l("Broke off"), "red", "x"),
    ItemStatus.CANCELLED: Badge(_l("Stopped before it began"), "secondary", "ban"),
    ItemStatus.STARTED: Badge(_l("Under way"), "yellow", "refresh"),
    ItemStatus.QUEUED: Badge(_l("Waiting"), "secondary", "clock"),
}
BULK_TITLES: dict[BulkKind, LazyString] = {
    BulkKind.RETRY: _l("Retry many"),
    BulkKind.PUSH_AGAIN: _l("Push many again"),
    BulkKind.TAKE_REMOTE: _l("Take Cal.com's version of many"),
    BulkKind.KEEP_OURS: _l("Keep our version of many"),
    BulkKind.ADOPT: _l("Adopt many"),
    BulkKind.CANCEL_REMOTE: _l("Cancel many on Cal.com"),
    BulkKind.DISMISS: _l("Dismiss many"),
    BulkKind.CANCEL: _l("Cancel many appointments"),
}
_REFUSALS: dict[str, LazyString] = {
    "settled": _l("It had been settled meanwhile."),
    "busy": _l("It was being worked on already."),
    "not_offered": _l("As things stood by then, this could not be done."),
    "no_right": _l("Whoever started this may no longer settle findings."),
    "broke_off": _l("Something unexpected ended it; your operator finds it in the log."),
}


def register(app: Flask) -> None:
    app.jinja_env.globals.update(
        BULK_STATUSES=BULK_STATUSES, ITEM_STATUSES=ITEM_STATUSES, BULK_TITLES=BULK_TITLES
    )
    app.add_template_filter(explain_outcome)
    app.add_template_filter(bulk_summary)


def bulk_summary(item: Notification) -> str:
    """What came of a bulk action, in a line: `Retry many: Settled 198, Still requires review 2`."""
    kind, counts = item.parameters.get("kind"), item.parameters.get("counts") or {}
    parts = [
        f"{badge.label} {shown(counts[status.value])}"
        for status, badge in ITEM_STATUSES.items()
        if counts.get(status.value)
    ]
    title = str(BULK_TITLES[BulkKind(kind)]) if kind in set(BulkKind) else ""
    return f"{title}: {', '.join(parts)}"


def explain_outcome(item: BulkItem) -> str:
    """Why an item ended as it did; empty while it hasn't."""
    if item.outcome is None:
        return ""
    if item.outcome == NO_RIGHT and item.discrepancy_id is None:
        return _("Whoever started this may no longer cancel appointments.")
    if item.outcome in _REFUSALS:
        return str(_REFUSALS[item.outcome])
    if item.outcome == CANCELLED:
        return _("Cancelled here and on Cal.com.")
    if item.outcome in REFUSALS:
        return str(REFUSALS[item.outcome])
    if item.outcome in set(Resolution):
        text = str(RESOLUTIONS[Resolution(item.outcome)])
        return text[:1].upper() + text[1:] + "."
    return str(explain(item.outcome).meaning)
