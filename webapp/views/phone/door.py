"""Retell's door: whose address it is, whether the company's key signed these bytes, what is asked.

Everything properly signed and shaped is 200 with a sentence, also where the answer is no: a voice
agent must have something to say. What is no request at all is a 4xx for whoever sets it up.
"""

import time
from datetime import timedelta
from http import HTTPStatus

from flask import Blueprint, Response, abort, jsonify, request
from flask.typing import ResponseReturnValue
from flask_babel import force_locale
from werkzeug.exceptions import RequestEntityTooLarge

from webapp import clock
from webapp.application import settings, vault
from webapp.extensions import csrf, db
from webapp.logs import log
from webapp.models.audit import Actor, record_audit_unless_since
from webapp.models.company import Company, Secret
from webapp.models.crossing import company_of_phone_token
from webapp.models.tenancy import as_company, require_company_id
from webapp.models.vault import VaultError
from webapp.views import headers
from webapp.views.phone.arguments import Arguments
from webapp.views.phone.functions import FUNCTIONS, Answer, Phone, answer_phone
from webapp.views.phone.requests import Malformed, PhoneRequest, read_request
from webapp.views.phone.signatures import HEADER, verify
from webapp.views.phone.speech import Voice

blueprint = Blueprint("phone", __name__)
csrf.exempt(blueprint)

BAD_SIGNATURE = "phone.bad_signature"
AUDITED_EVERY = timedelta(minutes=5)


@blueprint.post("/webhooks/retell/<phone_token>")
def receive(phone_token: str) -> ResponseReturnValue:
    """Answer one function call: 401 signature, 404 token, 413 size, 422 no such request."""
    raw = _raw_body()
    company_id = company_of_phone_token(db.session(), phone_token)
    db.session.remove()
    if company_id is None:
        abort(404)
    with as_company(company_id):
        return _take(raw)


def _raw_body() -> bytes:
    request.max_content_length = settings().phone_max_bytes
    try:
        return request.get_data(cache=False)
    except RequestEntityTooLarge:
        abort(413)


def _take(raw: bytes) -> ResponseReturnValue:
    company = db.session.get_one(Company, require_company_id())
    if not verify(raw, request.headers.get(HEADER), _key(company), clock.now()):
        _audit_bad_signature(company)
        return _refuse(401, "the signature is missing, wrong, or older than five minutes")
    try:
        asked = read_request(raw, FUNCTIONS)
    except Malformed as problem:
        return _refuse(422, str(problem))
    return jsonify(_answer(company, asked))


def _answer(company: Company, asked: PhoneRequest) -> Answer:
    began, now = time.monotonic(), clock.now()
    today = now.astimezone(company.zone).date()
    voice = Voice(company.locale, company.zone, today)
    phone = Phone(Arguments(asked, company.zone, now), asked.call_id, voice, now)
    with force_locale(company.locale):
        answer = answer_phone(asked.function, phone)
    log("phone").info(
        "phone_answered",
        function=asked.function,
        result=answer["result"],
        reason=answer["reason"],
        appointment_id=answer["appointment"] and answer["appointment"]["id"],
        milliseconds=round((time.monotonic() - began) * 1000),
        company_id=require_company_id(),
    )
    return answer


def _key(company: Company) -> str | None:
    try:
        return company.secret(Secret.RETELL_KEY, vault())
    except VaultError:
        log("phone").error("phone_key_unreadable", company_id=company.id)
        return None


def _audit_bad_signature(company: Company) -> None:
    """Once in a while: whoever knows the address could otherwise fill the audit log."""
    now = clock.now()
    record_audit_unless_since(
        db.session(),
        BAD_SIGNATURE,
        f"company:{company.id}",
        at=now,
        since=now - AUDITED_EVERY,
        actor=Actor.SYSTEM,
        address=request.remote_addr,
    )
    db.session.commit()
    log("phone").warning("phone_bad_signature", company_id=require_company_id())


def _refuse(status: int, message: str) -> Response:
    response = jsonify(
        status=status,
        error=HTTPStatus(status).phrase,
        message=message,
        request_id=headers.request_id(),
    )
    response.status_code = status
    return response
