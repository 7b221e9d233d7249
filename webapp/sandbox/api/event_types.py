"""`/v2/event-types`: list, get and PATCH; old names without the version header (API facts, §3)."""

from flask import Blueprint, Response, request

from webapp.sandbox.api.gate import (
    fault,
    json_answer,
    key_holder,
    needs_key,
    read_body,
    the_sandbox,
)
from webapp.sandbox.event_types import event_type_body, patched
from webapp.sandbox.records import EventType
from webapp.sandbox.refusals import Refusal, whole_number
from webapp.sandbox.shapes import dump, old_event_type_body, success
from webapp.sandbox.versions import wants_old_shape


def add_routes(api: Blueprint) -> None:
    one = "/event-types/<event_type_id>"
    api.add_url_rule("/event-types", "event_types__list", list_event_types)
    api.add_url_rule(one, "event_types__get", show_event_type)
    api.add_url_rule(one, "event_types__update", update_event_type, methods=["PATCH"])


def list_event_types() -> Response:
    """All of the key's user, without paging. Without a right key: somebody's by `username`, or
    an empty list, which says nothing about the key."""
    old = _wants_old()
    holder = key_holder() or the_sandbox().state.account(request.args.get("username", ""))
    owned = [
        each
        for each in list(the_sandbox().state.event_types.values())
        if holder is not None
        and each.owner_id == holder.id
        and (key_holder() is not None or not each.hidden)
    ]
    if fault("empty_list") is not None:
        owned = []
    if (cut := fault("truncated_list")) is not None:
        owned = owned[: int(cut["keep"])]
    return json_answer(success("[" + ",".join(_text(each, old=old) for each in owned) + "]"))


def show_event_type(event_type_id: str) -> Response:
    old = _wants_old()
    return json_answer(success(_text(_own_event_type(event_type_id), old=old)))


def update_event_type(event_type_id: str) -> Response:
    old = _wants_old()
    with the_sandbox().state.writing():
        event_type = patched(_own_event_type(event_type_id), read_body(), old=old)
        if fault("not_stored") is None:
            the_sandbox().state.save_event_type(event_type)
    return json_answer(success(_text(event_type, old=old)))


def _own_event_type(event_type_id: str) -> EventType:
    """Of the key's user; anybody else's is 403, an unknown one 404."""
    account = needs_key()
    found = the_sandbox().state.event_types.get(whole_number(event_type_id) or 0)
    if found is None:
        raise Refusal(404, f"Event type with id {event_type_id} not found")
    if found.owner_id != account.id:
        raise Refusal(403, f"User {account.id} does not own event type {event_type_id}")
    return found


def _text(event_type: EventType, *, old: bool) -> str:
    if old:
        return dump(old_event_type_body(event_type))
    owner = the_sandbox().state.accounts[event_type.owner_id]
    return dump(event_type_body(event_type, owner))


def _wants_old() -> bool:
    return wants_old_shape(request, "event_types") or fault("old_version") is not None
