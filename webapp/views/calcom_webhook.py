"""Cal.com's door: signature over the raw bytes, store, answer; a job works the delivery off.

A slow answer would delay Cal.com's own cancel call, which a worker of ours may be waiting on
(API.md §5), so nothing but one INSERT happens here.
"""

import hashlib

from flask import Blueprint, abort, jsonify, request
from flask.typing import ResponseReturnValue
from sqlalchemy.dialects.postgresql import insert
from werkzeug.exceptions import RequestEntityTooLarge

from webapp import clock
from webapp.application import settings, vault
from webapp.calcom.redaction import redact
from webapp.calcom.signatures import HEADER, verify
from webapp.calcom.untrusted import ShapeError, parse_json
from webapp.extensions import csrf, db
from webapp.jobs.queues import enqueue_delivery
from webapp.logs import sync_log
from webapp.models.audit import Actor, record_audit
from webapp.models.company import Company
from webapp.models.crossing import company_of_webhook_token
from webapp.models.delivery import Delivery, DeliveryStatus
from webapp.models.tenancy import as_company, require_company_id

blueprint = Blueprint("calcom_webhook", __name__)
csrf.exempt(blueprint)


@blueprint.post("/webhooks/calcom/<token>")
def receive(token: str) -> ResponseReturnValue:
    """Take a delivery: 2xx once it is stored; 401 signature, 404 token, 413 size."""
    raw = _raw_body()
    company_id = company_of_webhook_token(db.session(), token)
    db.session.remove()
    if company_id is None:
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
        _audit_bad_signature(company)
        abort(401)
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
    now = clock.now()
    return db.session.scalar(
        insert(Delivery)
        .values(
            company_id=require_company_id(),
            received_at=now,
            trigger=str(body.get("triggerEvent", ""))[:100],
            body=body,
            body_hash=hashlib.sha256(raw).digest(),
            status=DeliveryStatus.RECEIVED,
            due_at=now,
            attempt_count=0,
        )
        .on_conflict_do_nothing()
        .returning(Delivery.id)
    )


def _audit_bad_signature(company: Company) -> None:
    record_audit(
        db.session(),
        "delivery.bad_signature",
        f"company:{company.id}",
        at=clock.now(),
        actor=Actor.CALCOM,
        address=request.remote_addr,
    )
    db.session.commit()
    sync_log().warning("delivery_bad_signature", company_id=require_company_id())
