"""The job that evaluates a company's thresholds, and tells what was crossed and what is over."""

from datetime import datetime

from webapp import clock
from webapp.extensions import db
from webapp.insight.thresholds import Crossing, evaluate_thresholds
from webapp.logs import log
from webapp.models.notification import NotificationType
from webapp.models.tenancy import as_company
from webapp.notify.inbox import close_told, tell

_TYPE = NotificationType.THRESHOLD_CROSSED


def evaluate(company_id: int, _row_id: int) -> None:
    """Once a slot; evaluating twice tells nothing twice, for the state is a row."""
    with as_company(company_id):
        now = clock.now()
        for change in evaluate_thresholds(db.session(), now):
            _tell(change, now)
            log("thresholds").info(
                "threshold_over" if change.is_over else "threshold_crossed",
                company_id=company_id,
                kind=change.kind.value,
            )
        db.session.commit()


def _tell(change: Crossing, now: datetime) -> None:
    """Crossed and over are two items: what is over closes the first, and is news itself."""
    crossed, over = f"threshold:{change.kind}", f"threshold:{change.kind}:over"
    close_told(db.session(), [_TYPE], crossed if change.is_over else over, now=now)
    if not change.is_known:
        return
    tell(
        db.session(),
        _TYPE,
        over if change.is_over else crossed,
        now=now,
        kind=change.kind.value,
        value=round(change.value, 3),
        bound=change.bound,
        is_over=change.is_over,
    )
