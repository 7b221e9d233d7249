"""A ping to our own webhook address, signed as Cal.com signs: a body without a uid changes nothing
(API.md §5). It shows that the address leads here and that the secret opens the door; whether
Cal.com's own network reaches it, its first delivery shows. So its trigger is a word of ours."""

import json
from datetime import datetime

import httpx

from webapp.calcom.signatures import HEADER, sign
from webapp.calcom.webhooks import Trigger

PING_SECONDS = 5.0


def send_ping(address: str, secret: str, *, now: datetime) -> str | None:
    """Send one; None where it was taken, else what came instead: `HTTP 404`, `ConnectError`."""
    sent_at = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    raw = json.dumps(
        {"triggerEvent": Trigger.OWN_PING, "createdAt": sent_at, "payload": {}}
    ).encode()
    headers = {HEADER: sign(raw, secret), "Content-Type": "application/json"}
    try:
        with httpx.Client(timeout=PING_SECONDS, trust_env=False) as client:
            answer = client.post(address, content=raw, headers=headers)
    except httpx.HTTPError as error:
        return type(error).__name__
    return None if answer.is_success else f"HTTP {answer.status_code}"
