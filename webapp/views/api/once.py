"""Carrying out a POST: once per `Idempotency-Key`, however often it is sent.

A key is claimed in a transaction of its own; the change and its answer are written in one. So a
process that dies leaves either nothing and a lease that runs out, or the change and its answer.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta

from flask import Response, current_app, request
from pydantic import BaseModel
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import HTTPException

from webapp import clock
from webapp.application import settings
from webapp.extensions import db
from webapp.jobs.queues import enqueue_push
from webapp.models.idempotency_key import (
    Given,
    KeyBusy,
    KeyReused,
    Lease,
    claim_key,
    forget_keys,
    release_key,
    settle_key,
)
from webapp.views.api import problems
from webapp.views.api.entrance import caller
from webapp.views.api.problems import Code, Problem, invalid

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
LONGEST_KEY = 255
KEY_PATTERN = rf"^[\x21-\x7e]{{1,{LONGEST_KEY}}}$"
BUSY_SECONDS = 1


@dataclass(frozen=True)
class Outcome:
    """What is answered, and which change has to be carried to Cal.com (None: none)."""

    body: BaseModel
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    intent_id: int | None = None

    def respond(self) -> Response:
        text = self.body.model_dump_json()
        return Response(text, self.status, self.headers, mimetype="application/json")


def answer_once(body: BaseModel, act: Callable[[], Outcome]) -> Response:
    """Carry out, commit, enqueue, answer; under a key that was answered, only answer."""
    key = _key()
    if key is None:
        outcome = act()
        db.session.commit()
        enqueue_push(caller().company_id, outcome.intent_id)
        return outcome.respond()
    claim = _claim(key, body)
    if isinstance(claim, Given):
        return _repeat(claim)
    with _released_if_it_fails(claim):
        return _carry_out(claim, act)


def _carry_out(lease: Lease, act: Callable[[], Outcome]) -> Response:
    try:
        outcome = act()
    except HTTPException as error:
        # What was refused is refused again, whatever has changed meanwhile: same key, same answer.
        db.session.rollback()
        refusal = problems.translate(error)
        body = current_app.json.dumps(refusal.body())
        _settle(lease, refusal.status, body, refusal.headers)
        db.session.commit()
        raise refusal from None
    _settle(lease, outcome.status, outcome.body.model_dump_json(), outcome.headers)
    db.session.commit()
    enqueue_push(caller().company_id, outcome.intent_id)
    return outcome.respond()


def _settle(lease: Lease, status: int, body: str, headers: dict[str, str]) -> None:
    if not settle_key(db.session(), lease, status, {"body": body, "headers": headers}):
        # We were slower than the lease, and somebody took over.
        raise _busy()


@contextmanager
def _released_if_it_fails(lease: Lease) -> Iterator[None]:
    """After an error nobody planned for, the next try need not wait for the lease."""
    try:
        yield
    except BaseException:
        with suppress(DBAPIError):
            db.session.rollback()
            release_key(db.session(), lease)
            db.session.commit()
        raise


def _claim(key: str, body: BaseModel) -> Lease | Given:
    now = clock.now()
    forget_keys(db.session(), before=now - timedelta(hours=settings().api_idempotency_hours))
    try:
        claim = claim_key(
            db.session(),
            token_id=caller().token_id,
            key=key,
            request_hash=_hash(body),
            now=now,
        )
    except KeyBusy:
        raise _busy() from None
    except KeyReused:
        raise Problem(Code.KEY_REUSED) from None
    db.session.commit()
    return claim


def _busy() -> Problem:
    return Problem(Code.REQUEST_IN_PROGRESS, headers={"Retry-After": str(BUSY_SECONDS)})


def _repeat(given: Given) -> Response:
    body, headers = given.answer["body"], {**given.answer["headers"], REPLAYED: "true"}
    if given.status >= 400:
        return problems.respond(current_app.json.loads(body), given.status, headers)
    return Response(body, given.status, headers, mimetype="application/json")


def _key() -> str | None:
    key = request.headers.get(HEADER)
    if key is not None and not re.fullmatch(KEY_PATTERN, key):
        raise invalid(HEADER, "key", f"must be 1 to {LONGEST_KEY} visible ASCII characters")
    return key


def _hash(body: BaseModel) -> bytes:
    """What makes two requests the same: the address and what the body means, not its spelling."""
    said = f"{request.method} {request.path}\n{body.model_dump_json()}"
    return hashlib.sha256(said.encode()).digest()
