"""What the statements about bulk actions have in common."""

from datetime import datetime
from typing import Any

from sqlalchemy import CursorResult, update
from sqlalchemy.orm import Session

from webapp.models.bulk import BulkAction, BulkItem, ItemStatus
from webapp.models.tenancy import require_company_id


def is_bulk(bulk_id: int) -> tuple[Any, ...]:
    return BulkAction.company_id == require_company_id(), BulkAction.id == bulk_id


def items_in(bulk_id: int, status: ItemStatus) -> tuple[Any, ...]:
    return (
        BulkItem.company_id == require_company_id(),
        BulkItem.bulk_action_id == bulk_id,
        BulkItem.status == status,
    )


def end_queued(
    session: Session, bulk_id: int, status: ItemStatus, outcome: str | None, now: datetime
) -> int:
    return change(
        session,
        update(BulkItem)
        .where(*items_in(bulk_id, ItemStatus.QUEUED))
        .values(status=status, outcome=outcome, finished_at=now),
    )


def change(session: Session, statement: Any) -> int:
    result = session.execute(statement.execution_options(synchronize_session=False))
    assert isinstance(result, CursorResult)  # noqa: S101 - narrows the type
    return result.rowcount
