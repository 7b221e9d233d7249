"""Cal.com's door: signature over the raw bytes, store, answer; a job works the delivery off.

A slow answer would delay Cal.com's own cancel call, which a worker of ours may be waiting on
(API.md §5), so nothing but one INSERT happens here, in one round trip (see `models.door`). What
isn't let in changes nothing; where it smells, the audit log says so, once in a while however often
it is tried.
"""

import hashlib
import re
from datetime import timedelta
from typing import NoReturn, cast

from flask import Blueprint, abort, current_app, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import RequestEntityTooLarge

from webapp import clock
from webapp.application import settings, vault
from webapp.calcom.signatures import HEADER, verify
from webapp.calcom.webhooks import read_body, read_headline
from webapp.extensions import csrf, db
from webapp.jobs.queues import enqueue_delivery
from webapp.logs import sync_log
from webapp.models.audit import Actor, record_audit_unless_since
from webapp.models.crossing import company_of_webhook_token
from webapp.models.door import Door, Stored, read_door, store_delivery
from webapp.models.tenancy import as_company

blueprint = Blueprint("calcom_webhook", __name__)
csrf.exempt(blueprint)

AUDIT_PAUSE = timedelta(minutes=10)
"""One entry for all that is refused meanwhile: whoever knows the address can send for ever."""

MOST_DOORS = 1_000

_JSON = re.compile(r"application/(json|[\w.+-]+\+json)", re.IGNORECASE)


@blueprint.post("/webhooks/calcom/<token>")
def receive(token: str) -> ResponseReturnValue:
    """Take a delivery: 2xx once it is stored; 401 signature, 404 token, 413 size, 415 no JSON."""
    raw = _raw_body()
    known = _doors().get(token)
    stored = _pass(known, raw) if known else None
    # Never seen, or its secrets are others by now.
    door = known if known and stored else _look_up(token)
    stored = stored or _pass(door, raw) or _refuse(door, "bad_signature", 401)
    if stored.delivery_id is None:
        return jsonify(status="duplicate")
    enqueue_delivery(door.company_id, stored.delivery_id)
    return jsonify(status="stored", delivery=stored.delivery_id)


def _raw_body() -> bytes:
    request.max_content_length = settings().webhook_max_bytes
    try:
        return request.get_data(cache=False)
    except RequestEntityTooLarge:
        abort(413)


def _doors() -> dict[str, Door]:
    """The doors that this process has seen, by token."""
    return cast(dict[str, Door], current_app.extensions.setdefault("webhook_doors", {}))


def _look_up(token: str) -> Door:
    company_id = company_of_webhook_token(db.session(), token)
    db.session.remove()
    if company_id is None:
        sync_log().info("delivery_unknown_address")
        abort(404)
    with as_company(company_id):
        door, damaged = read_door(db.session(), vault())
    for which in damaged:
        sync_log().error("secret_unreadable", company_id=company_id, secret=which.value)
    _remember(door)
    return door


def _remember(door: Door) -> None:
    doors = _doors()
    if len(doors) >= MOST_DOORS:
        doors.clear()
    doors[door.token] = door


def _pass(door: Door, raw: bytes) -> Stored | None:
    """Store what one of the door's secrets signed; None where none did, or it has changed."""
    if not verify(raw, request.headers.get(HEADER), door.secrets):
        return None
    if request.mimetype and not _JSON.fullmatch(request.mimetype):
        _refuse(door, "not_json", 415)
    body = read_body(raw)
    headline = read_headline(body)
    return store_delivery(
        db.engine,
        door,
        now=clock.now(),
        trigger=headline.trigger,
        uid=headline.uid,
        old_uid=headline.old_uid,
        sent_at=headline.sent_at,
        body=body,
        body_hash=hashlib.sha256(raw).digest(),
    )


def _refuse(door: Door, what: str, status: int) -> NoReturn:
    now = clock.now()
    with as_company(door.company_id):
        record_audit_unless_since(
            db.session(),
            f"delivery.{what}",
            f"company:{door.company_id}",
            at=now,
            since=now - AUDIT_PAUSE,
            actor=Actor.CALCOM,
            address=request.remote_addr,
        )
        db.session.commit()
    sync_log().warning(f"delivery_{what}", company_id=door.company_id)
    abort(status)
