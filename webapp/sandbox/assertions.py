"""Accounts, event types and webhooks as the control door puts them: made when they are missing,
brought up to date when they are there, so that a demo can say them again at each start."""

from dataclasses import replace
from typing import Any

from webapp.sandbox.api.webhooks import read_webhook
from webapp.sandbox.event_types import CONTROLLED, event_type_body, read_fields
from webapp.sandbox.payloads import TRIGGERS
from webapp.sandbox.records import Account, EventType, Json, Webhook
from webapp.sandbox.refusals import Refusal
from webapp.sandbox.state import State


def assert_account(state: State, body: Json) -> tuple[Account, bool]:
    """The account with this e-mail address (or id), and whether it is new. Refusal 400 or 409."""
    with state.writing():
        existing = state.account(body.get("id") or str(body.get("email", "")))
        wanted = _account_fields(body)
        if existing is None:
            wanted = _with_defaults(wanted)
            account = Account(id=_wanted_id(state, body, set(state.accounts)), **wanted)
        else:
            account = replace(existing, **wanted)
        for other in state.accounts.values():
            if other.id != account.id and {other.key, other.email} & {account.key, account.email}:
                raise Refusal(409, f"key or e-mail belongs to account {other.id}")
        state.save_account(account)
        return account, existing is None


def _account_fields(body: Json) -> dict[str, Any]:
    names = {
        "name": "name",
        "email": "email",
        "key": "key",
        "username": "username",
        "timeZone": "time_zone",
    }
    for name in names:
        if not isinstance(body.get(name, ""), str):
            raise Refusal(400, f"{name} must be a string")
    fields: dict[str, Any] = {ours: body[name] for name, ours in names.items() if body.get(name)}
    if "@" not in fields.get("email", "@"):
        raise Refusal(400, "email must be an e-mail address")
    if not fields.get("key", "cal_").startswith("cal_"):
        raise Refusal(400, "key must begin with cal_")
    limit = body.get("rateLimit")
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
        raise Refusal(400, "rateLimit must be a whole number above 0")
    return fields | ({"rate_limit": limit} if "rateLimit" in body else {})


def _with_defaults(fields: dict[str, Any]) -> dict[str, Any]:
    if "email" not in fields:
        raise Refusal(400, "a new account needs an email")
    local_part = fields["email"].split("@")[0]
    defaults = {
        "name": local_part.title(),
        "username": fields["email"].replace("@", "-at-").lower(),
        "key": f"cal_sandbox_{fields['email'].lower()}",
    }
    return defaults | fields


def assert_event_type(state: State, body: Json) -> tuple[Json, bool]:
    """The event type with this id, or this slug of the account; and whether it is new."""
    with state.writing():
        existing = _find_event_type(state, body)
        fields = read_fields(body, CONTROLLED)
        if existing is None:
            event_type = _new_event_type(state, body, fields)
        else:
            event_type = replace(existing, **fields)
        state.save_event_type(event_type)
        return event_type_body(event_type, state.accounts[event_type.owner_id]), existing is None


def _find_event_type(state: State, body: Json) -> EventType | None:
    if isinstance(body.get("id"), int):
        return state.event_types.get(body["id"])
    owner = account_or_refusal(state, body)
    slug = body.get("slug") or _slug(str(body.get("title", "")))
    for event_type in state.event_types.values():
        if event_type.owner_id == owner.id and event_type.slug == slug:
            return event_type
    return None


def _new_event_type(state: State, body: Json, fields: dict[str, Any]) -> EventType:
    owner = account_or_refusal(state, body)
    if not fields.get("title"):
        raise Refusal(400, "a new event type needs a title")
    defaults: dict[str, Any] = {"length_minutes": 30, "slug": _slug(fields["title"])}
    event_type_id = _wanted_id(state, body, set(state.event_types))
    return EventType(id=event_type_id, owner_id=owner.id, **(defaults | fields))


def _slug(title: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in title.lower()).split())


def assert_webhook(state: State, body: Json) -> tuple[Webhook, bool]:
    """The account's webhook with this URL, and whether it is new. All triggers by default."""
    with state.writing():
        owner = account_or_refusal(state, body)
        fields = read_webhook({"active": True, "triggers": list(TRIGGERS), **body}, whole=True)
        for webhook in state.webhooks.values():
            is_own = webhook.account_id == owner.id
            if is_own and webhook.subscriber_url == fields["subscriber_url"]:
                webhook = replace(webhook, **fields)
                state.save_webhook(webhook)
                return webhook, False
        webhook = Webhook(id=str(state.next_id()), account_id=owner.id, **fields)
        state.save_webhook(webhook)
        return webhook, True


def account_or_refusal(state: State, body: Json) -> Account:
    """The account that `account` names, by id, e-mail, username or key. Refusal 400."""
    reference = body.get("account")
    account = state.account(reference)
    if account is None:
        raise Refusal(400, f"no such account: {reference!r}")
    return account


def _wanted_id(state: State, body: Json, taken: set[int]) -> int:
    wanted = body.get("id")
    if wanted is None:
        return state.next_id()
    if not isinstance(wanted, int) or isinstance(wanted, bool) or wanted < 1 or wanted in taken:
        raise Refusal(400, "id must be a free whole number above 0")
    return wanted
