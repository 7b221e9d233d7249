"""Chat and short messages, through apprise. It knows some 170 targets, among them ones that write
files, run programs or call any host: only the services listed here may be used, with the parameters
listed here. Others make it fetch a template from anywhere, follow redirects or wait for long."""

import logging

import apprise
from apprise.plugins import url_to_dict

from webapp.calcom.addresses import AddressError, public_addresses
from webapp.notify.dialling import judged_dialling
from webapp.notify.letters import Letter
from webapp.notify.trouble import ChannelTrouble

FIXED_HOSTS = {
    "slack": "blocks footer image mode timestamp to token",
    "discord": "avatar batch fields footer footer_logo image thread tts",
    "tgram": "album content detect image mdv preview silent thread to topic",
    "pover": "expire interval key priority sound to",
    "gchat": "key thread token workspace",
    "wxteams": "mode to token",
    "twilio": "apikey from method sid to token",
    "vonage": "from key secret to ttl",
    "sinch": "from region spi to token",
    "msgbird": "from to",
}
"""Services whose messages go to their own, fixed address, and the parameters they may have."""

OWN_HOSTS = {
    "workflow": "api-version id image pa route routeid sig sp sv ver wrap",
    "mmosts": "botname channel channels image mode team to",
    "rockets": "avatar mode to webhook",
    "matrixs": "discovery e2ee hsreq image mode msgtype to token version",
    "jsons": "method",
}
"""Services at an address that the company names: it must be a public one."""

LOCAL_HOSTS = {local: OWN_HOSTS[f"{local}s"] for local in ("mmost", "rocket", "matrix", "json")}
"""The same without encryption: where the operator allows private networks."""

ANYWHERE = "format optional overflow retry wait"
FORCED = {"redirect": False, "discovery": False, "retry": 0, "wait": 0.0, "optional": False}
"""Whatever the address says: we try again ourselves, and call nobody but whom it names."""

_ASSET = apprise.AppriseAsset(http_redirects=False)

logging.getLogger("apprise").setLevel(logging.CRITICAL)


def check_chat_address(address: str, *, allow_private: bool) -> tuple[str, str]:
    """The address in apprise's own spelling and the service's name.

    The address may be an apprise URL or the webhook address that Slack, Discord or Teams shows.
    Raises AddressError (reason `malformed`, `scheme`, `parameter`, `unresolvable` or `private`).
    """
    target, _scheme = _target(address, allow_private=allow_private)
    canonical: str = target.url(privacy=False)  # type: ignore[no-untyped-call]
    return canonical, str(target.service_name)


def send_chat(address: str, letter: Letter, *, allow_private: bool) -> None:
    """Post a letter's text; raises ChannelTrouble."""
    try:
        target, scheme = _target(address, allow_private=allow_private)
    except AddressError as error:
        raise ChannelTrouble(
            "CHAT_ADDRESS", error.reason, is_final=error.reason != "unresolvable"
        ) from None
    sender = apprise.Apprise(asset=_ASSET)
    sender.add(target)
    with judged_dialling(allow_private=allow_private or scheme in FIXED_HOSTS):
        is_sent = sender.notify(title=letter.subject, body=letter.text, body_format="text")
    if not is_sent:
        raise ChannelTrouble("CHAT_REFUSED", "The service did not take it", is_final=False)


def _target(address: str, *, allow_private: bool) -> tuple[apprise.NotifyBase, str]:
    """What apprise would post to, and the service's scheme; raises AddressError."""
    parsed = url_to_dict(address.strip())  # type: ignore[no-untyped-call]
    if not parsed:
        raise AddressError("malformed", "This isn't an address of a service we know")
    scheme = _scheme_of(str(parsed["schema"]))
    allowed = FIXED_HOSTS | OWN_HOSTS | (LOCAL_HOSTS if allow_private else {})
    if scheme not in allowed:
        raise AddressError("scheme", "This service can't be used")
    if not set(parsed["qsd"]) <= {*allowed[scheme].split(), *ANYWHERE.split()}:
        raise AddressError("parameter", "The address has a parameter that can't be used")
    parsed |= FORCED | ({"method": "POST"} if scheme.startswith("json") else {})
    target = apprise.Apprise.instantiate(parsed, asset=_ASSET, suppress_exceptions=True)
    if target is None:
        raise AddressError("malformed", "This isn't an address of a service we know")
    if scheme not in FIXED_HOSTS:
        _check_host(target, allow_private=allow_private)
    return target, scheme


def _scheme_of(schema: str) -> str:
    return "workflow" if schema == "workflows" else schema.lower()


def _check_host(target: apprise.NotifyBase, *, allow_private: bool) -> None:
    host = str(getattr(target, "host", "") or "")
    port = int(getattr(target, "port", None) or 443)
    if not host:
        raise AddressError("malformed", "The address names no host")
    try:
        public_addresses(host, port, allow_private=allow_private)
    except OSError:
        raise AddressError("unresolvable", "The address can't be found") from None
