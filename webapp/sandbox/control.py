"""The control door `/_sandbox/`: what tests and the demo use to look inside and to steer.

JSON in, JSON out; bad input is a 4xx that says what is wrong. Not part of Cal.com.
"""

from flask import Blueprint, Flask, Response, request

from webapp.sandbox import changes, hosting, payloads
from webapp.sandbox.api.gate import json_answer, read_body, read_json, the_sandbox
from webapp.sandbox.assertions import assert_account, assert_event_type, assert_webhook
from webapp.sandbox.instants import parse_instant, with_milliseconds
from webapp.sandbox.orders import read_start
from webapp.sandbox.outside import book_many, book_outside
from webapp.sandbox.records import Json
from webapp.sandbox.refusals import Refusal, booking_not_found
from webapp.sandbox.reports import state_report
from webapp.sandbox.shapes import account_body, booking_body, dump, webhook_body

LONGEST_ADVANCE = 10 * 366 * 86_400


def register_control(app: Flask) -> None:
    door = Blueprint("control", __name__, url_prefix="/_sandbox")
    for verb, path, view in (
        ("GET", "/health", show_health),
        ("GET", "/state", show_state),
        ("GET", "/faults", show_faults),
        ("PUT", "/faults", replace_faults),
        ("DELETE", "/faults", clear_faults),
        ("POST", "/accounts", put_account),
        ("POST", "/event-types", put_event_type),
        ("POST", "/webhooks", put_webhook),
        ("POST", "/webhooks/<webhook_id>/ping", ping_webhook),
        ("POST", "/bookings", book),
        ("DELETE", "/bookings/<uid>", remove_booking),
        ("POST", "/bookings/<uid>/<change>", change_booking),
        ("POST", "/clock", move_clock),
        ("GET", "/clock", show_clock),
        ("PUT", "/rate-limit", set_rate_limit),
        ("POST", "/settle", settle),
        ("POST", "/reset", reset),
    ):
        door.add_url_rule(path, view.__name__, view, methods=[verb])
    app.register_blueprint(door)


def _answer(body: object, status: int = 200) -> Response:
    return json_answer(dump(body), status)


def show_health() -> Response:
    state = the_sandbox().state
    return _answer({"status": "ok", "service": "sandbox", "bookings": len(state.bookings)})


def show_state() -> Response:
    return _answer(state_report(the_sandbox(), request.args))


def show_faults() -> Response:
    return _answer({"faults": the_sandbox().faults.as_json()})


def replace_faults() -> Response:
    """A list of faults, or `{"faults": […], "seed": 7}`."""
    body = read_json()
    faults = body.get("faults") if isinstance(body, dict) else body
    seed = body.get("seed", 0) if isinstance(body, dict) else 0
    if not isinstance(faults, list) or not isinstance(seed, int):
        raise Refusal(400, 'faults are a list, or {"faults": […], "seed": number}')
    the_sandbox().faults.replace(faults, seed=seed)
    return show_faults()


def clear_faults() -> Response:
    the_sandbox().faults.clear()
    return show_faults()


def put_account() -> Response:
    account, is_new = assert_account(the_sandbox().state, read_body())
    body = account_body(account) | {"key": account.key, "rateLimit": account.rate_limit}
    return _answer(body, 201 if is_new else 200)


def put_event_type() -> Response:
    body, is_new = assert_event_type(the_sandbox().state, read_body())
    return _answer(body, 201 if is_new else 200)


def put_webhook() -> Response:
    webhook, is_new = assert_webhook(the_sandbox().state, read_body())
    return _answer(webhook_body(webhook), 201 if is_new else 200)


def ping_webhook(webhook_id: str) -> Response:
    webhook = the_sandbox().state.webhooks.get(webhook_id)
    if webhook is None:
        raise Refusal(404, f"no webhook {webhook_id}")
    trigger = str(read_body().get("trigger", "PING"))
    return _answer({"status": the_sandbox().postman.ping(webhook, trigger)})


def book() -> Response:
    """One booking as a person on Cal.com makes it; or `{"bookings": […]}`, silently, to fill up."""
    body = read_body()
    if "bookings" in body:
        bookings = book_many(the_sandbox(), body["bookings"])
        return _answer({"uids": [each.uid for each in bookings]}, 201)
    return _answer(booking_body(book_outside(the_sandbox(), body)), 201)


def remove_booking(uid: str) -> Response:
    """Vanishes without a trace: no webhook, no mail."""
    if the_sandbox().state.remove_booking(uid) is None:
        raise booking_not_found(uid)
    return _answer({"removed": uid})


def change_booking(uid: str, change: str) -> Response:
    """What a person on Cal.com's pages, or its timer, does to a booking."""
    sandbox, body = the_sandbox(), read_body()
    reason = str(body.get("reason") or "")
    if change == "reschedule":
        by = str(body["by"]) if body.get("by") else None
        booking = changes.reschedule(sandbox, uid, read_start(body), reason=reason or None, by=by)
    elif change == "cancel":
        ask = bool(body.get("requestReschedule"))
        booking = changes.cancel(sandbox, uid, reason=reason, request_reschedule=ask)
    elif change == "confirm":
        booking = hosting.confirm(sandbox, uid)
    elif change == "decline":
        booking = hosting.decline(sandbox, uid, reason=reason)
    elif change == "no-show":
        booking = hosting.miss(sandbox, uid, absent=bool(body.get("absent", True)))
    elif change in ("start", "end"):
        trigger = payloads.STARTED if change == "start" else payloads.ENDED
        booking = hosting.tell_meeting(sandbox, uid, trigger)
    else:
        raise Refusal(404, f"no such change: {change}")
    return _answer(booking_body(booking))


def show_clock() -> Response:
    clock = the_sandbox().clock
    return _answer({"now": with_milliseconds(clock.now()), "frozen": clock.is_frozen})


def move_clock() -> Response:
    """`set` (an instant) or `advance` (seconds); `freeze` true or false; `reset`."""
    sandbox, body = the_sandbox(), read_body()
    unknown = set(body) - {"set", "advance", "freeze", "reset"}
    if unknown or not body:
        raise Refusal(400, "the clock knows: set, advance, freeze, reset")
    if body.get("reset"):
        sandbox.clock.reset()
    if "freeze" in body:
        (sandbox.clock.freeze if body["freeze"] else sandbox.clock.release)()
    _set_or_advance(body)
    sandbox.state.save_clock()
    return show_clock()


def _set_or_advance(body: Json) -> None:
    clock = the_sandbox().clock
    if "set" in body:
        at = parse_instant(body["set"])
        if at is None:
            raise Refusal(400, "set must be an ISO 8601 instant")
        clock.set(at)
    if "advance" in body:
        clock.advance(_seconds(body["advance"], most=LONGEST_ADVANCE))


def _seconds(value: object, *, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= most:
        raise Refusal(400, f"seconds must be a number of at most {most}")
    return float(value)


def set_rate_limit() -> Response:
    """`limit` calls per 60 s for keys without a limit of their own. Starts new windows."""
    limit = read_body().get("limit")
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise Refusal(400, "limit must be a whole number above 0")
    the_sandbox().rate_limit = limit
    the_sandbox().limiter.clear()
    return _answer({"limit": limit})


def settle() -> Response:
    """Wait until no webhook is under way, at most `seconds`. Those that a fault holds back or
    delays are not under way yet."""
    seconds = _seconds(read_body().get("seconds", 5), most=60)
    return _answer({"settled": the_sandbox().postman.settle(seconds)})


def reset() -> Response:
    the_sandbox().reset()
    return _answer({"status": "ok"})
