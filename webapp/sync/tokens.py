"""How API tokens come to be and end, with the audit entries that go with it."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import CursorResult, update
from sqlalchemy.orm import Session

from webapp.models.api_token import ApiToken, Scope, hash_token, new_token_text
from webapp.models.audit import Actor, record_audit
from webapp.models.tenancy import require_company_id


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A fresh token. `text` is to be shown once: nothing stored leads back to it."""

    id: int
    text: str


def issue_token(
    session: Session,
    *,
    name: str,
    scopes: Collection[Scope],
    expires_at: datetime | None,
    actor: Actor,
    user_id: int | None,
    now: datetime,
) -> IssuedToken:
    """Make a token for the current company; `scopes` must not be empty."""
    text = new_token_text()
    token = ApiToken(
        name=name,
        token_hash=hash_token(text),
        ending=text[-4:],
        scopes=sorted(scope.value for scope in scopes),
        created_at=now,
        created_by_user_id=user_id,
        expires_at=expires_at,
    )
    session.add(token)
    session.flush()
    record_audit(
        session,
        "api_token.created",
        f"api_token:{token.id}",
        at=now,
        actor=actor,
        user_id=user_id,
        scopes=token.scopes,
        expires_at=expires_at and expires_at.isoformat(),
    )
    return IssuedToken(token.id, text)


def revoke_token(
    session: Session, token_id: int, *, actor: Actor, user_id: int | None, now: datetime
) -> bool:
    """End a token for good; False where there is none, or it was revoked already."""
    result = session.execute(
        update(ApiToken)
        .where(
            ApiToken.company_id == require_company_id(),
            ApiToken.id == token_id,
            ApiToken.revoked_at.is_(None),
        )
        .values(revoked_at=now)
    )
    assert isinstance(result, CursorResult)  # noqa: S101 - narrows the type
    if result.rowcount != 1:
        return False
    record_audit(
        session,
        "api_token.revoked",
        f"api_token:{token_id}",
        at=now,
        actor=actor,
        user_id=user_id,
    )
    return True
