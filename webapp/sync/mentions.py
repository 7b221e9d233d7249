"""Where colleagues may have typed who a customer is, outside the customer's own rows: the search of
a saved view, the search and the reason of a bulk action."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote_plus

from sqlalchemy import select
from sqlalchemy.orm import Session

from webapp.models.base import fold
from webapp.models.bulk import BulkAction
from webapp.models.customer import Customer
from webapp.models.saved_view import SavedView
from webapp.models.tenancy import require_company_id

SHORTEST = 4
"""Shorter names stand in too many words to be looked for."""


def words_of(customer: Customer) -> list[str]:
    """What tells who it is, folded; read before it is blanked."""
    known = map(fold, filter(None, (customer.name, customer.email, customer.phone)))
    return [word for word in known if len(word) >= SHORTEST]


def forget_mentions(session: Session, words: Sequence[str]) -> int:
    """Drop saved views that search for the customer, and blank what bulk actions say of them;
    returns how many rows lost something."""
    views = [
        each for each in _all(session, SavedView) if _tells(f"{each.name} {each.query}", words)
    ]
    for view in views:
        session.delete(view)
    return len(views) + sum(_blank(action, words) for action in _all(session, BulkAction))


def _blank(action: BulkAction, words: Sequence[str]) -> bool:
    """What it was about is kept row by row; the reason of one that is still at work is needed."""
    scope = {name: each for name, each in action.scope.items() if not _tells(str(each), words)}
    is_told = not action.is_running and _tells(action.note or "", words)
    note = None if is_told else action.note
    is_changed = (scope, note) != (action.scope, action.note)
    action.scope, action.note = scope, note
    return is_changed


def _tells(text: str, words: Sequence[str]) -> bool:
    said = fold(unquote_plus(text)) + fold(text)
    return any(word in said for word in words)


def _all(session: Session, model: Any) -> Sequence[Any]:
    return session.scalars(select(model).where(model.company_id == require_company_id())).all()
