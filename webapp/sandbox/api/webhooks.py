"""`/v2/webhooks`: no version header; a URL once per user; the secret comes back in clear text."""

from dataclasses import replace
from typing import Any

from flask import Blueprint, Response, request

from webapp.sandbox.api.gate import fault, json_answer, needs_key, read_body, the_sandbox
from webapp.sandbox.payloads import TRIGGERS
from webapp.sandbox.records import Json, Webhook
from webapp.sandbox.refusals import Refusal, whole_number
from webapp.sandbox.shapes import dump, success, webhook_body


def add_routes(api: Blueprint) -> None:
    one = "/webhooks/<webhook_id>"
    api.add_url_rule("/webhooks", "webhooks__list", list_webhooks)
    api.add_url_rule("/webhooks", "webhooks__create", create_webhook, methods=["POST"])
    api.add_url_rule(one, "webhooks__get", show_webhook)
    api.add_url_rule(one, "webhooks__update", update_webhook, methods=["PATCH"])
    api.add_url_rule(one, "webhooks__delete", delete_webhook, methods=["DELETE"])


def list_webhooks() -> Response:
    account = needs_key()
    skip = whole_number(request.args.get("skip", "0"))
    take = whole_number(request.args.get("take", "250"))
    if skip is None or take is None or not 1 <= take <= 250:
        raise Refusal(400, "take must not be less than 1 or greater than 250")
    own = [
        webhook_body(each)
        for each in list(the_sandbox().state.webhooks.values())
        if each.account_id == account.id
    ]
    own = [] if fault("empty_list") is not None else own
    return json_answer(success(dump(own[skip : skip + take])))


def create_webhook() -> Response:
    account = needs_key()
    wanted = read_webhook(read_body(), whole=True)
    state = the_sandbox().state
    with state.writing():
        webhook = Webhook(id=str(state.next_id()), account_id=account.id, **wanted)
        _check_url(webhook)
        if fault("not_stored") is None:
            state.save_webhook(webhook)
    return json_answer(success(dump(webhook_body(webhook))), 201)


def show_webhook(webhook_id: str) -> Response:
    return json_answer(success(dump(webhook_body(_own_webhook(webhook_id)))))


def update_webhook(webhook_id: str) -> Response:
    with the_sandbox().state.writing():
        webhook = replace(_own_webhook(webhook_id), **read_webhook(read_body()))
        _check_url(webhook)
        the_sandbox().state.save_webhook(webhook)
    return json_answer(success(dump(webhook_body(webhook))))


def delete_webhook(webhook_id: str) -> Response:
    webhook = _own_webhook(webhook_id)
    the_sandbox().state.remove_webhook(webhook.id)
    return json_answer(success(dump(webhook_body(webhook))))


def _own_webhook(webhook_id: str) -> Webhook:
    account = needs_key()
    webhook = the_sandbox().state.webhooks.get(webhook_id)
    if webhook is None:
        raise Refusal(404, f"Webhook ({webhook_id}) not found")
    if webhook.account_id != account.id:
        raise Refusal(403, "User is not the owner of the webhook")
    return webhook


def _check_url(webhook: Webhook) -> None:
    """Refusal 409 when the account has registered the URL already (API facts, §5)."""
    for other in the_sandbox().state.webhooks.values():
        is_other = other.id != webhook.id and other.account_id == webhook.account_id
        if is_other and other.subscriber_url == webhook.subscriber_url:
            raise Refusal(409, "Webhook with this subscriber url already exists for this user")


def read_webhook(body: Json, *, whole: bool = False) -> dict[str, Any]:
    """A webhook's fields from JSON; Refusal 400. `whole`: url, triggers and active are needed."""
    url, triggers, active = body.get("subscriberUrl"), body.get("triggers"), body.get("active")
    if (whole or url is not None) and not _is_url(url):
        raise Refusal(400, "subscriberUrl must be a valid URL")
    if (whole or triggers is not None) and not _are_triggers(triggers):
        raise Refusal(400, f"each value in triggers must be one of: {', '.join(TRIGGERS)}")
    if (whole or active is not None) and not isinstance(active, bool):
        raise Refusal(400, "active must be a boolean value")
    if not isinstance(body.get("secret", ""), str | None):
        raise Refusal(400, "secret must be a string")
    fields = {
        "subscriber_url": url,
        "triggers": triggers,
        "active": active,
        "secret": body.get("secret"),
        "payload_template": body.get("payloadTemplate"),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _is_url(url: object) -> bool:
    return isinstance(url, str) and url.startswith(("http://", "https://"))


def _are_triggers(triggers: object) -> bool:
    return isinstance(triggers, list) and bool(triggers) and all(t in TRIGGERS for t in triggers)
