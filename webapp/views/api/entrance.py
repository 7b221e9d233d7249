"""Who may come in: a bearer token leads to its company. Cookies count for nothing here."""

from dataclasses import dataclass
from datetime import datetime
from typing import cast

import structlog
from flask import Blueprint, g, request

from webapp import clock
from webapp.application import settings
from webapp.extensions import csrf, db
from webapp.models import crossing
from webapp.models.api_token import ApiToken, Scope, effective_scopes, find_token, hash_token
from webapp.models.api_token import note_use as note_use_of
from webapp.views import access
from webapp.views.api.problems import Code, Problem

blueprint = Blueprint("api_v1", __name__, url_prefix="/api/v1")
csrf.exempt(blueprint)

LONGEST_TOKEN = 200
CHALLENGE = 'Bearer realm="Lockstep"'


@dataclass(frozen=True)
class Caller:
    """The system that calls, by its token, as plain values."""

    token_id: int
    company_id: int
    scopes: frozenset[Scope]


def caller() -> Caller:
    """Who calls; the entrance has made sure of it."""
    return cast(Caller, g.caller)


def require_scope(scope: Scope) -> None:
    """Raises Problem (403) where the token may not do this."""
    if scope not in caller().scopes:
        raise Problem(
            Code.INSUFFICIENT_SCOPE,
            f"This needs a token with the scope {scope.value}.",
            headers={
                "WWW-Authenticate": f'{CHALLENGE}, error="insufficient_scope", scope="{scope}"'
            },
        )


def requests_a_minute() -> str:
    """The rate limit, in Flask-Limiter's words."""
    return f"{settings().api_requests_per_minute}/minute"


def whose_requests() -> str:
    """What they are counted by."""
    return f"api-token:{caller().token_id}"


@blueprint.before_request
def _authenticate() -> None:
    now = clock.now()
    text = _presented_token()
    token_hash = hash_token(text)
    company_id = crossing.company_of_api_token(db.session(), token_hash)
    db.session.rollback()
    if company_id is None:
        raise _refusal()
    access.enter(company_id)
    token = find_token(db.session(), token_hash)
    if token is None or not token.is_valid(now):
        raise _refusal()
    g.caller = Caller(token.id, company_id, effective_scopes(token.scopes))
    structlog.contextvars.bind_contextvars(token_id=token.id)
    _note_use(token, now)


def _note_use(token: ApiToken, now: datetime) -> None:
    if note_use_of(db.session(), token, now):
        db.session.commit()
    else:
        db.session.rollback()


def _presented_token() -> str:
    authorization = request.authorization
    if authorization is None or authorization.type != "bearer" or not authorization.token:
        raise Problem(
            Code.UNAUTHENTICATED,
            "Send the header `Authorization: Bearer <token>`.",
            headers={"WWW-Authenticate": CHALLENGE},
        )
    if len(authorization.token) > LONGEST_TOKEN:
        raise _refusal()
    return authorization.token


def _refusal() -> Problem:
    """One wording for all: what is wrong with a token is its owner's to know."""
    return Problem(
        Code.UNAUTHENTICATED,
        "The token is unknown, revoked or expired.",
        headers={"WWW-Authenticate": f'{CHALLENGE}, error="invalid_token"'},
    )
