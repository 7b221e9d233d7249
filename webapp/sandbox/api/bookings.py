"""`/v2/bookings`: every answer in the version that the header asks for."""

from collections.abc import Mapping

from flask import Blueprint, Response, request

from webapp.sandbox import changes, hosting
from webapp.sandbox.api.gate import (
    fault,
    json_answer,
    key_holder,
    needs_key,
    read_body,
    the_sandbox,
)
from webapp.sandbox.changes import booking_or_refusal
from webapp.sandbox.listing import pagination
from webapp.sandbox.orders import read_order, read_start
from webapp.sandbox.records import Booking, Json
from webapp.sandbox.refusals import Refusal, booking_not_found
from webapp.sandbox.scheduling import book
from webapp.sandbox.shapes import booking_text, booking_texts, success
from webapp.sandbox.versions import wants_old_shape
from webapp.sandbox.wanted import Wanted, read_wanted


def add_routes(api: Blueprint) -> None:
    one = "/bookings/<uid>"
    api.add_url_rule("/bookings", "bookings__list", list_bookings)
    api.add_url_rule("/bookings", "bookings__create", create_booking, methods=["POST"])
    api.add_url_rule(one, "bookings__get", show_booking)
    for verb, name, view in (
        ("reschedule", "bookings__reschedule", reschedule_booking),
        ("cancel", "bookings__cancel", cancel_booking),
        ("confirm", "bookings__confirm", confirm_booking),
        ("decline", "bookings__decline", decline_booking),
        ("mark-absent", "bookings__mark_absent", mark_absent),
    ):
        api.add_url_rule(f"{one}/{verb}", name, view, methods=["POST"])


def list_bookings() -> Response:
    """Own bookings and those that the key's user attends. The old version ignores all filters."""
    account, old = needs_key(), _wants_old()
    sandbox = the_sandbox()
    wanted = Wanted() if old else read_wanted(request.args)
    overlay = _replica_overlay()
    page, total = sandbox.listings.find(
        account.id, wanted, now=sandbox.clock.now(), overlay=overlay
    )
    if fault("empty_list") is not None:
        page, total = [], 0
    if (cut := fault("truncated_list")) is not None:
        page = page[: int(cut["keep"])]
    pages = pagination(wanted, len(page), total)
    return json_answer(success(booking_texts(page, old=old), pages))


def create_booking() -> Response:
    old = _wants_old()
    sandbox = the_sandbox()
    early = fault("webhook_early") is not None
    bookings = book(sandbox, read_order(read_body()), keep=_keeps(), hold=early)
    if bookings[0].recurring_uid is not None:
        return json_answer(success(booking_texts(bookings, old=old)), 201)
    return json_answer(success(booking_text(bookings[0], old=old)), 201)


def show_booking(uid: str) -> Response:
    """One booking; a series by its own uid as a list."""
    old = _wants_old()
    state = the_sandbox().state
    if uid in state.series:
        series = [state.bookings[each] for each in state.series[uid]]
        return json_answer(success(booking_texts(series, old=old)))
    booking = booking_or_refusal(state, uid)
    overlay = _replica_overlay()
    if uid in overlay:
        booking = _as_seen(uid, overlay)
    return json_answer(success(booking_text(booking, old=old)))


def reschedule_booking(uid: str) -> Response:
    old, body = _wants_old(), read_body()
    booking = changes.reschedule(
        the_sandbox(),
        uid,
        read_start(body),
        reason=_optional_text(body, "reschedulingReason"),
        by=_optional_text(body, "rescheduledBy"),
        keep=_keeps(),
    )
    return json_answer(success(booking_text(booking, old=old)), 201)


def cancel_booking(uid: str) -> Response:
    """One booking, one seat of it, or what is left of a series."""
    old, body = _wants_old(), read_body()
    sandbox = the_sandbox()
    reason = _optional_text(body, "cancellationReason") or ""
    if uid in sandbox.state.series:
        series = changes.cancel_series(sandbox, uid, reason=reason)
        return json_answer(success(booking_texts(series, old=old)))
    _check_reason(booking_or_refusal(sandbox.state, uid), reason)
    if body.get("seatUid") is not None:
        booking = changes.cancel_seat(sandbox, uid, str(body["seatUid"]))
    else:
        booking = _cancel(uid, reason)
    return json_answer(success(booking_text(booking, old=old)))


def _cancel(uid: str, reason: str) -> Booking:
    holder = key_holder()
    by = holder.email if holder else None
    sandbox = the_sandbox()
    bare = sandbox.takes_second_shape()
    return changes.cancel(sandbox, uid, reason=reason, by=by, keep=_keeps(), bare=bare)


def _check_reason(booking: Booking, reason: str) -> None:
    """Hosts have to give one (API facts, §2)."""
    holder = key_holder()
    if holder is not None and holder.id == booking.owner_id and not reason.strip():
        raise Refusal(400, "Cancellation reason is required when you are the host")


def confirm_booking(uid: str) -> Response:
    old = _wants_old()
    _check_host(uid)
    return json_answer(success(booking_text(hosting.confirm(the_sandbox(), uid), old=old)))


def decline_booking(uid: str) -> Response:
    old = _wants_old()
    _check_host(uid)
    reason = _optional_text(read_body(), "reason") or ""
    booking = hosting.decline(the_sandbox(), uid, reason=reason)
    return json_answer(success(booking_text(booking, old=old)))


def mark_absent(uid: str) -> Response:
    old = _wants_old()
    _check_host(uid)
    body = read_body()
    host, attendees = hosting.read_absence(body)
    booking = hosting.mark_absent(the_sandbox(), uid, host=host, attendees=attendees)
    return json_answer(success(booking_text(booking, old=old)))


def _check_host(uid: str) -> None:
    """Confirm, decline and mark-absent belong to the host."""
    account = needs_key()
    if booking_or_refusal(the_sandbox().state, uid).owner_id != account.id:
        raise Refusal(403, f"User is not a host of the booking with uid={uid}")


def _wants_old() -> bool:
    """The old shape: asked for by the header, or put there by a fault."""
    return wants_old_shape(request, "bookings") or fault("old_version") is not None


def _keeps() -> bool:
    return fault("not_stored") is None


def _replica_overlay() -> Mapping[str, Booking | None]:
    lag = fault("replica_lag")
    return {} if lag is None else the_sandbox().state.as_replica_sees(float(lag["seconds"]))


def _as_seen(uid: str, overlay: Mapping[str, Booking | None]) -> Booking:
    seen = overlay[uid]
    if seen is None:
        raise booking_not_found(uid)
    return seen


def _optional_text(body: Json, name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise Refusal(400, f"{name} must be a string")
    return value
