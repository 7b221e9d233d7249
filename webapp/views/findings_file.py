"""The review queue, and the outcomes of a bulk action, as files."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from flask import Response
from sqlalchemy import select
from sqlalchemy.orm import contains_eager

from webapp.extensions import db
from webapp.models.bulk import BulkItem
from webapp.models.discrepancy import Discrepancy
from webapp.models.tenancy import require_company_id
from webapp.views.access import company_zone
from webapp.views.csv_files import csv_file
from webapp.views.evidence import in_plain_words
from webapp.views.outcomes import ITEM_STATUSES, explain_outcome
from webapp.views.review_queue import EXPORT_BATCH, QueueFilters, export_queue
from webapp.views.wording import DISCREPANCIES, ORIGINS, SYNC_STATES
from webapp.views.words import gettext as _


def queue_file(filters: QueueFilters, now: datetime) -> Response:
    """Everything that matches, one finding a line."""
    header = [
        _("Finding"),
        _("Appointment"),
        _("Customer"),
        _("E-mail"),
        _("Service"),
        _("Start"),
        _("Sync"),
        _("Origin"),
        _("What is wrong"),
        _("Code"),
        _("Open since"),
        _("Hours open"),
        _("Attempts"),
        _("Evidence"),
    ]
    return csv_file(f"review-queue-{_day(now)}", header, _queue_rows(filters, now))


def bulk_file(bulk_id: int) -> Response:
    """What became of each item of a bulk action; no customer data."""
    header = [
        _("Appointment"),
        _("What is wrong"),
        _("Code"),
        _("Outcome"),
        _("Why"),
        _("Begun"),
        _("Ended"),
    ]
    return csv_file(f"bulk-action-{bulk_id}", header, _bulk_rows(bulk_id))


def _queue_rows(filters: QueueFilters, now: datetime) -> Iterator[Sequence[object]]:
    """The session is asked for when the rows are: the view's own is closed by then."""
    for findings in export_queue(db.session(), filters, now):
        yield from [_queue_row(finding, now) for finding in findings]


def _queue_row(finding: Discrepancy, now: datetime) -> Sequence[object]:
    appointment = finding.appointment
    return (
        finding.id,
        appointment.id,
        appointment.customer.name,
        appointment.customer.email,
        appointment.service.name,
        _local(appointment.starts_at),
        SYNC_STATES[appointment.calcom_sync_status].label,
        ORIGINS[appointment.sync_origin],
        DISCREPANCIES[finding.type],
        finding.code,
        _local(finding.opened_at),
        int((now - finding.opened_at).total_seconds() // 3600),
        finding.attempt_count,
        " ".join(in_plain_words(finding)),
    )


def _bulk_row(item: BulkItem) -> Sequence[object]:
    return (
        item.appointment_id,
        DISCREPANCIES[item.discrepancy.type] if item.discrepancy else "",
        item.discrepancy.code if item.discrepancy else "",
        ITEM_STATUSES[item.status].label,
        explain_outcome(item),
        _local(item.started_at),
        _local(item.finished_at),
    )


def _bulk_rows(bulk_id: int) -> Iterator[Sequence[object]]:
    last = 0
    query = (
        select(BulkItem)
        .outerjoin(BulkItem.discrepancy)
        .where(BulkItem.company_id == require_company_id(), BulkItem.bulk_action_id == bulk_id)
        .options(contains_eager(BulkItem.discrepancy))
        .order_by(BulkItem.id)
        .limit(EXPORT_BATCH)
    )
    while rows := db.session.scalars(query.where(BulkItem.id > last)).all():
        last = rows[-1].id
        yield from [_bulk_row(item) for item in rows]


def _local(instant: datetime | None) -> str:
    return "" if instant is None else f"{instant.astimezone(company_zone()):%Y-%m-%d %H:%M}"


def _day(instant: datetime) -> str:
    return f"{instant.astimezone(company_zone()):%Y-%m-%d}"
