"""The nightly job that forgets what is old, in batches, each in a transaction of its own: whoever
dies in between has lost nothing, and the next one goes on where it ended."""

import time
from datetime import timedelta

from webapp import clock
from webapp.application import settings
from webapp.extensions import db
from webapp.jobs.queues import enqueue_cleaning
from webapp.logs import log
from webapp.models.audit_chain import verify_chain
from webapp.models.crossing import prune_audit
from webapp.models.tenancy import as_company
from webapp.sync.retention import Retention, kinds

BUDGET_SECONDS = 200.0
"""Below the job's own limit; then a further job goes on."""


def clean(company_id: int, row_id: int) -> dict[str, int]:
    """Forget a company's old rows; returns how many of each kind."""
    end = time.monotonic() + BUDGET_SECONDS
    forgotten: dict[str, int] = {}
    with as_company(company_id):
        for name, (kept, forget) in kinds(retention()).items():
            while time.monotonic() < end:
                number = forget(db.session(), clock.now() - kept, settings().cleaning_batch)
                db.session.commit()
                forgotten[name] = forgotten.get(name, 0) + number
                if number < settings().cleaning_batch:
                    break
        if time.monotonic() < end:
            forgotten["audit"] = _forget_audit(end)
    if time.monotonic() >= end:
        # Not under this job's own id: RQ forgets that one when this job is over.
        enqueue_cleaning(company_id, row_id + 1)
    log("cleaning").info("cleaned", company_id=company_id, **forgotten)
    return forgotten


def _forget_audit(end: float) -> int:
    """Nothing where the chain is broken: what is left of it is evidence."""
    chain = verify_chain(db.session())
    db.session.rollback()
    if chain.broken is not None:
        log("audit").error("chain_broken", kind=chain.broken.kind, entry=chain.broken.entry_id)
        return 0
    before = clock.now() - timedelta(days=settings().keep_audit_days)
    forgotten = 0
    while time.monotonic() < end:
        number = prune_audit(db.session(), before, settings().cleaning_batch)
        db.session.commit()
        forgotten += number
        if number < settings().cleaning_batch:
            break
    return forgotten


def retention() -> Retention:
    """How long the settings keep each kind."""
    keep = settings()
    return Retention(
        history=timedelta(days=keep.keep_history_days),
        attempts=timedelta(days=keep.keep_attempts_days),
        runs=timedelta(days=keep.keep_runs_days),
        deliveries=timedelta(days=keep.keep_deliveries_days),
        sendings=timedelta(days=keep.keep_sendings_days),
        notifications=timedelta(days=keep.keep_notifications_days),
        bulk_actions=timedelta(days=keep.keep_bulk_actions_days),
        evidence=timedelta(days=keep.keep_evidence_days),
        idempotency_keys=timedelta(hours=keep.api_idempotency_hours),
    )
