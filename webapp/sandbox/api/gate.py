"""What every API call passes: whose key it is, the rate limit, the faults, and the ledger.

The key decides little here, as with Cal.com: create, get, cancel and reschedule answer without one.
"""

import json
import time

from flask import Flask, Response, current_app, g, request
from werkzeug.exceptions import HTTPException

from webapp.sandbox.connection import HEADER, close_after_holding, drip, reset_connection
from webapp.sandbox.core import Sandbox
from webapp.sandbox.ledger import Call
from webapp.sandbox.limits import Allowance
from webapp.sandbox.records import Account, Json
from webapp.sandbox.refusals import Refusal, refusal_body
from webapp.sandbox.shapes import dump

PREFIX = "/v2"
MESSAGES = {
    401: "ApiAuthStrategy - invalid api key",
    403: "Forbidden resource",
    429: "ThrottlerException: Too Many Requests",
    498: "ACCESS_TOKEN_IS_EXPIRED",
}


def the_sandbox() -> Sandbox:
    sandbox: Sandbox = current_app.extensions["sandbox"]
    return sandbox


def key_holder() -> Account | None:
    """The account of the request's key, if there is one and it is right."""
    holder: Account | None = g.get("account")
    return holder


def needs_key() -> Account:
    """The account of the key; Refusal 401 without a right one."""
    holder = key_holder()
    if holder is None:
        raise Refusal(401, MESSAGES[401])
    return holder


def fault(kind: str) -> Json | None:
    """The values of a fault that strikes this call, or None."""
    faults: dict[str, Json] = g.get("faults", {})
    return faults.get(kind)


def json_answer(text: str, status: int = 200) -> Response:
    return Response(text, status=status, content_type="application/json; charset=utf-8")


def read_body() -> Json:
    """The request's JSON object, empty without a body; Refusal 400."""
    body = read_json()
    if not isinstance(body, dict):
        raise Refusal(400, "Request body must be a JSON object")
    return body


def read_json() -> object:
    """The request's JSON, whatever its content type says; Refusal 400."""
    raw = request.get_data()
    try:
        return json.loads(raw, parse_constant=_no_constant) if raw.strip() else {}
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "Request body is not valid JSON") from error


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} isn't JSON")


def guard(app: Flask) -> None:
    app.before_request(_enter)
    app.after_request(_leave)
    app.register_error_handler(Refusal, _answer_refusal)
    app.register_error_handler(HTTPException, _answer_http_error)


def _enter() -> Response | None:
    if not request.path.startswith(PREFIX):
        return None
    sandbox = the_sandbox()
    g.began = time.perf_counter()
    g.operation = _operation()
    g.account = _account_of_request(sandbox)
    g.allowance = _spend(sandbox)
    if g.allowance is not None and g.allowance.is_exceeded:
        raise Refusal(429, MESSAGES[429])
    g.faults = sandbox.faults.striking(g.operation, g.account)
    return _fail_before(sandbox)


def _operation() -> str:
    """`bookings.create` and so on; the endpoints are named for it."""
    endpoint = (request.endpoint or "").removeprefix("v2.")
    return endpoint.replace("__", ".") or "unknown"


def _account_of_request(sandbox: Sandbox) -> Account | None:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.startswith("cal_"):
        return None
    return sandbox.state.account_of_key(key.strip())


def _spend(sandbox: Sandbox) -> Allowance | None:
    account = key_holder()
    if account is None:
        return None
    limit = account.rate_limit or sandbox.rate_limit
    return sandbox.limiter.spend(account.key, limit=limit, now=sandbox.clock.now())


def _fail_before(sandbox: Sandbox) -> Response | None:
    """Faults that strike before anything happens."""
    if (latency := fault("latency")) is not None:
        sandbox.stopping.wait(float(latency["seconds"]))
    if (timeout := fault("timeout_before")) is not None:
        return close_after_holding(float(timeout["seconds"]), sandbox.stopping)
    if fault("reset_before") is not None:
        return reset_connection()
    if (limit := fault("rate_limited")) is not None:
        return _rate_limited(limit)
    status = fault("status")
    if status is not None and not status["after_effect"]:
        return _failure(status)
    return None


def _fail_after(sandbox: Sandbox, response: Response) -> Response:
    """Faults that strike when the effect has been had."""
    status = fault("status")
    if status is not None and status["after_effect"] and response.status_code < 400:
        return _failure(status)
    if (timeout := fault("timeout_after")) is not None:
        return close_after_holding(float(timeout["seconds"]), sandbox.stopping)
    if fault("reset_after") is not None:
        return reset_connection()
    if (slow := fault("drip")) is not None:
        return drip(response, float(slow["seconds"]), sandbox.stopping)
    return response


def _rate_limited(values: Json) -> Response:
    g.allowance = None
    if values["headers"]:
        g.allowance = Allowance(
            limit=the_sandbox().rate_limit,
            remaining=0,
            reset_seconds=int(values["reset_seconds"]),
            is_exceeded=True,
        )
    return _answer_refusal(Refusal(429, MESSAGES[429]))


def _failure(values: Json) -> Response:
    """A failing status, as JSON in either shape or as a proxy's page."""
    status = int(values["status"])
    if values["body"] == "html":
        page = f"<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>"
        return Response(page, status=status, content_type="text/html")
    message = MESSAGES.get(status, "Internal server error")
    return _answer_refusal(Refusal(status, message, bare=values["body"] == "bare"))


def _leave(response: Response) -> Response:
    if not request.path.startswith(PREFIX) or "began" not in g:
        return response
    sandbox = the_sandbox()
    allowance: Allowance | None = g.get("allowance")
    if fault("timeout_after") is not None or fault("reset_after") is not None:
        # Noted before the connection is held: the effect is there for all to see by now.
        _note(sandbox, None)
        return _fail_after(sandbox, response)
    response = _fail_after(sandbox, response)
    if allowance is not None:
        response.headers.update(allowance.headers())
    _note(sandbox, None if HEADER in response.headers else response.status_code)
    return response


def _note(sandbox: Sandbox, status: int | None) -> None:
    holder = key_holder()
    sandbox.ledger.note_call(
        Call(
            method=request.method,
            path=request.path,
            query=request.query_string.decode("latin-1"),
            operation=g.operation,
            account=holder.email if holder else None,
            status=status,
            at=sandbox.clock.now(),
            milliseconds=(time.perf_counter() - g.began) * 1000,
            faults=tuple(g.get("faults", {})),
        )
    )


def _answer_refusal(refusal: Refusal) -> Response:
    at = the_sandbox().clock.now()
    body = refusal_body(refusal, path=request.path, at=at)
    return json_answer(dump(body), refusal.status)


def _answer_http_error(error: HTTPException) -> Response:
    """404 and the like, said the way Cal.com's framework does."""
    status = error.code or 500
    if status == 404:
        return _answer_refusal(Refusal(404, f"Cannot {request.method} {request.path}"))
    if status < 400:
        return Response(status=status, headers=list(error.get_headers()))
    return _answer_refusal(Refusal(status, error.description or error.name))
