"""Cal.com's door: signature over the raw bytes, store, answer; a job works the delivery off.

A slow answer would delay Cal.com's own cancel call, which a worker of ours may be waiting on
(API.md §5), so nothing but one INSERT happens here. What isn't let in changes nothing; where it
smells, the audit log says so, once in a while however often it is tried.
"""

import hashlib
import re
from datetime import timedelta

from flask import Blueprint, abort, jsonify, request
from flask.typing import ResponseReturnValue
from sqlalchemy.dialects.postgresql import insert
from werkzeug.exceptions import RequestEntityTooLarge

from webapp import clock
from webapp.application import settings, vault
from webapp.calcom.redaction import redact
from webapp.calcom.signatures import HEADER, verify
from webapp.calcom.untrusted import ShapeError, parse_json
from webapp.calcom.webhooks import read_headline
from webapp.extensions import csrf, db
from webapp.jobs.queues import enqueue_delivery
from webapp.logs import sync_log
from webapp.models.audit import Actor, record_audit_unless_since
from webapp.models.company import Company
from webapp.models.crossing import company_of_webhook_token
from webapp.models.delivery import Delivery, DeliveryStatus
from webapp.models.tenancy import as_company, require_company_id

blueprint = Blueprint("calcom_webhook", __name__)
csrf.exempt(blueprint)

AUDIT_PAUSE = timedelta(minutes=10)
"""One entry for all that is refused meanwhile: whoever knows the address can send for ever."""

_JSON = re.compile(r"application/(json|[\w.+-]+\+json)", re.IGNORECASE)


@blueprint.post("/webhooks/calcom/<token>")
def receive(token: str) -> ResponseReturnValue:
    """Take a delivery: 2xx once it is stored; 401 signature, 404 token, 413 size, 415 no JSON."""
    raw = _raw_body()
    company_id = company_of_webhook_token(db.session(), token)
    db.session.remove()
    if company_id is None:
        sync_log().info("delivery_unknown_address")
        abort(404)
    with as_company(company_id):
        return _take(raw)


def _raw_body() -> bytes:
    request.max_content_length = settings().webhook_max_bytes
    try:
        return request.get_data(cache=False)
    except RequestEntityTooLarge:
        abort(413)


def _take(raw: bytes) -> ResponseReturnValue:
    company = db.session.get_one(Company, require_company_id())
    if not verify(raw, request.headers.get(HEADER), company.webhook_secrets(vault())):
        return _refuse("bad_signature", 401)
    if request.mimetype and not _JSON.fullmatch(request.mimetype):
        return _refuse("not_json", 415)
    delivery_id = _store(raw, _body(raw))
    db.session.commit()
    if delivery_id is None:
        return jsonify(status="duplicate")
    enqueue_delivery(require_company_id(), delivery_id)
    return jsonify(status="stored", delivery=delivery_id)


def _body(raw: bytes) -> dict[str, object]:
    """What is kept of a signed body; of one that is no JSON object only its hash."""
    try:
        body = parse_json(raw)
    except ShapeError:
        return {}
    return redact(body) if isinstance(body, dict) else {}


def _store(raw: bytes, body: dict[str, object]) -> int | None:
    """The delivery's id, or None where these very bytes are here already."""
    now, headline = clock.now(), read_headline(body)
    return db.session.scalar(
        insert(Delivery)
        .values(
            company_id=require_company_id(),
            received_at=now,
            trigger=headline.trigger,
            booking_uid=headline.uid,
            old_booking_uid=headline.old_uid,
            sent_at=headline.sent_at,
            body=body,
            body_hash=hashlib.sha256(raw).digest(),
            status=DeliveryStatus.RECEIVED,
            due_at=now,
            attempt_count=0,
            run_again_count=0,
        )
        .on_conflict_do_nothing()
        .returning(Delivery.id)
    )


def _refuse(what: str, status: int) -> ResponseReturnValue:
    now = clock.now()
    record_audit_unless_since(
        db.session(),
        f"delivery.{what}",
        f"company:{require_company_id()}",
        at=now,
        since=now - AUDIT_PAUSE,
        actor=Actor.CALCOM,
        address=request.remote_addr,
    )
    db.session.commit()
    sync_log().warning(f"delivery_{what}", company_id=require_company_id())
    abort(status)
