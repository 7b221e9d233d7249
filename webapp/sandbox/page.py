"""The page at `/`: where a person books, moves and cancels as on Cal.com, and breaks things.

Rendered here, without a script; a change is a POST that ends in a redirect, a refused one shows
the page again with the reason.
"""

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

from flask import Blueprint, Flask, Response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from webapp.sandbox import changes, hosting, payloads
from webapp.sandbox.api.gate import the_sandbox
from webapp.sandbox.board import SHOWN, board_rows
from webapp.sandbox.core import Sandbox
from webapp.sandbox.faults import KINDS, Faults
from webapp.sandbox.outside import book_outside
from webapp.sandbox.records import Account, EventType, Json
from webapp.sandbox.refusals import Refusal

T = TypeVar("T")

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
SAID = {
    "booked": "Booked. The webhook is on its way.",
    "moved": "Moved: a new booking with a new uid; the old one is cancelled.",
    "cancelled": "Cancelled.",
    "confirmed": "Confirmed.",
    "declined": "Declined.",
    "missed": "Marked as a no-show.",
    "ended": "Told the subscribers that the meeting has ended.",
    "fault-on": "Fault switched on.",
    "fault-off": "Fault switched off.",
    "faults-off": "All faults switched off.",
}
OPERATIONS = (
    *("bookings", "bookings.create", "bookings.get", "bookings.list", "bookings.reschedule"),
    *("bookings.cancel", "event_types", "slots", "webhooks", "me"),
    *(payloads.CREATED, payloads.RESCHEDULED, payloads.CANCELLED),
)


def register_page(app: Flask) -> None:
    page = Blueprint("page", __name__)
    page.add_url_rule("/", "index", show)
    page.add_url_rule("/bookings", "book", book, methods=["POST"])
    page.add_url_rule("/bookings/<uid>/<change>", "change", change_booking, methods=["POST"])
    page.add_url_rule("/faults", "add_fault", add_fault, methods=["POST"])
    page.add_url_rule("/faults/clearing", "clear_faults", clear_faults, methods=["POST"])
    page.add_url_rule("/faults/<int:place>/removal", "drop_fault", drop_fault, methods=["POST"])
    app.register_blueprint(page)
    app.before_request(refuse_other_sites)
    app.after_request(add_headers)


def refuse_other_sites() -> None:
    """Another site's page in the same browser may not steer the sandbox."""
    came_from = request.headers.get("Sec-Fetch-Site", "none")
    if request.method != "GET" and came_from not in ("none", "same-origin"):
        raise Refusal(403, "requests from other sites are refused")


def add_headers(response: Response) -> Response:
    if not request.path.startswith("/v2"):
        response.headers["Content-Security-Policy"] = POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers.setdefault("Cache-Control", "no-store")
    return response


def show() -> str:
    return _render()


def _render(refused: str = "") -> str:
    sandbox = the_sandbox()
    account = _account()
    view, skip = request.values.get("view", "upcoming"), _skip()
    rows, total = board_rows(sandbox, account, view=view, skip=skip)
    return render_template(
        "sandbox/index.html",
        account=account,
        accounts=sorted(sandbox.state.accounts.values(), key=lambda each: each.name),
        event_types=_event_types(account),
        rows=rows,
        total=total,
        skip=skip,
        shown=SHOWN,
        view=view,
        faults=list(enumerate(sandbox.faults.as_json())),
        kinds=KINDS,
        operations=OPERATIONS,
        **_seen(sandbox),
        said=SAID.get(request.args.get("said", "")),
        refused=refused,
        form=request.form,
    )


def _seen(sandbox: Sandbox) -> Json:
    """What the sandbox saw and did lately, and its clock."""
    return {
        "mails": _last(sandbox.state.mails),
        "calls": _last(sandbox.ledger.recent_calls()),
        "deliveries": _last(sandbox.ledger.recent_deliveries()),
        "now": sandbox.clock.now(),
        "clock_is_moved": sandbox.clock.is_frozen or abs(sandbox.clock.shift_seconds) > 1,
    }


def _last(rows: list[T]) -> list[T]:
    return rows[-SHOWN:][::-1]


def _account() -> Account | None:
    state = the_sandbox().state
    reference = request.values.get("account", "")
    return state.account(reference) or next(iter(state.accounts.values()), None)


def _event_types(account: Account | None) -> list[EventType]:
    known = list(the_sandbox().state.event_types.values())
    return [each for each in known if account is not None and each.owner_id == account.id]


def _skip() -> int:
    text = request.args.get("skip", "0")
    return int(text) if text.isdecimal() and len(text) < 9 else 0


def book() -> AnyResponse:
    return _do(_book, "booked")


def _book() -> None:
    form = request.form
    attendee: Json = {"name": form.get("name", ""), "email": form.get("email", "")}
    event_type_id = form.get("event_type", "")
    body: Json = {
        "eventTypeId": int(event_type_id) if event_type_id.isdecimal() else 0,
        "start": _read_local(form.get("start", "")),
        "attendee": attendee,
    }
    book_outside(the_sandbox(), body)


def change_booking(uid: str, change: str) -> AnyResponse:
    sandbox, form = the_sandbox(), request.form
    reason = form.get("reason", "")
    acts: dict[str, tuple[Callable[[], object], str]] = {
        "move": (lambda: _move(uid), "moved"),
        "cancellation": (lambda: changes.cancel(sandbox, uid, reason=reason), "cancelled"),
        "confirmation": (lambda: hosting.confirm(sandbox, uid), "confirmed"),
        "rejection": (lambda: hosting.decline(sandbox, uid, reason=reason), "declined"),
        "absence": (lambda: hosting.miss(sandbox, uid, absent=True), "missed"),
        "ending": (lambda: hosting.tell_meeting(sandbox, uid, payloads.ENDED), "ended"),
    }
    if change not in acts:
        raise Refusal(404, f"no such change: {change}")
    return _do(*acts[change])


def _move(uid: str) -> None:
    at = datetime.fromisoformat(_read_local(request.form.get("start", "")))
    changes.reschedule(the_sandbox(), uid, at, reason=request.form.get("reason") or None)


def _read_local(text: str) -> str:
    """An instant from what a datetime field sends, which is in the account's zone."""
    account = _account()
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise Refusal(400, "Say when: a date and a time are needed.") from error
    zone = ZoneInfo(account.time_zone if account else "UTC")
    return at.replace(tzinfo=zone).isoformat(timespec="seconds")


def add_fault() -> AnyResponse:
    return _do(lambda: the_sandbox().faults.add(_fault_of_form()), "fault-on")


def _fault_of_form() -> Json:
    """Only the values that the kind knows; empty fields keep their defaults."""
    form = request.form
    kind = form.get("kind", "")
    document: Json = {"kind": kind}
    known = KINDS.get(kind, {})
    for name in ("seconds", "status", "keep", "copies"):
        text = form.get(name, "")
        if text and name in known:
            document[name] = float(text) if name == "seconds" else int(text)
    if form.get("times", "").isdecimal():
        document["times"] = int(form["times"])
    if form.get("operation"):
        document["operation"] = form["operation"]
    account = _account()
    if form.get("only_account") and account is not None:
        document["account"] = account.email
    return document


def drop_fault(place: int) -> AnyResponse:
    return _do(lambda: _faults().remove(place), "fault-off")


def clear_faults() -> AnyResponse:
    return _do(_faults().clear, "faults-off")


def _faults() -> Faults:
    return the_sandbox().faults


def _do(act: Callable[[], object], said: str) -> AnyResponse:
    """Act and go back to the page; a refusal is shown on it with 422."""
    try:
        act()
    except (Refusal, ValueError) as error:
        return Response(_render(refused=str(error)), status=422, content_type="text/html")
    account = _account()
    reference = account.email if account else None
    view = request.values.get("view", "upcoming")
    return redirect(url_for("page.index", account=reference, view=view, said=said), 303)
