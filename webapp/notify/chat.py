"""Chat and short messages, through apprise. It knows some 170 targets, among them ones that write
files, run programs or call any host: only the services listed here may be used."""

import logging

import apprise

from webapp.calcom.addresses import AddressError, public_addresses
from webapp.notify.letters import Letter
from webapp.notify.trouble import ChannelTrouble

FIXED_HOSTS = frozenset(
    {
        "slack",
        "discord",
        "tgram",
        "pover",
        "gchat",
        "wxteams",
        "twilio",
        "vonage",
        "sinch",
        "msgbird",
    }
)
"""Services whose messages go to their own, fixed address."""

OWN_HOSTS = frozenset({"workflow", "workflows", "msteams", "mmosts", "rockets", "matrixs", "jsons"})
"""Services at an address that the company names: it must be a public one."""

LOCAL_HOSTS = frozenset({"mmost", "rocket", "matrix", "json"})
"""The same without encryption: where the operator allows private networks."""

logging.getLogger("apprise").setLevel(logging.CRITICAL)


def check_chat_address(address: str, *, allow_private: bool) -> tuple[str, str]:
    """The address in apprise's own spelling and the service's name.

    The address may be an apprise URL or the webhook address that Slack, Discord or Teams shows.
    Raises AddressError (reason `malformed`, `scheme`, `unresolvable` or `private`).
    """
    target = apprise.Apprise.instantiate(address.strip(), suppress_exceptions=True)
    if target is None:
        raise AddressError("malformed", "This isn't an address of a service we know")
    scheme = _scheme_of(target)
    allowed = FIXED_HOSTS | OWN_HOSTS | (LOCAL_HOSTS if allow_private else frozenset())
    if scheme not in allowed:
        raise AddressError("scheme", "This service can't be used")
    if scheme not in FIXED_HOSTS:
        _check_host(target, allow_private=allow_private)
    canonical: str = target.url(privacy=False)  # type: ignore[no-untyped-call]
    return canonical, str(target.service_name)


def send_chat(address: str, letter: Letter, *, allow_private: bool) -> None:
    """Post a letter's text; raises ChannelTrouble."""
    try:
        canonical, _name = check_chat_address(address, allow_private=allow_private)
    except AddressError as error:
        raise ChannelTrouble(
            "CHAT_ADDRESS", error.reason, is_final=error.reason != "unresolvable"
        ) from None
    sender = apprise.Apprise()
    sender.add(canonical)
    if not sender.notify(title=letter.subject, body=letter.text, body_format="text"):
        raise ChannelTrouble("CHAT_REFUSED", "The service did not take it", is_final=False)


def _scheme_of(target: apprise.NotifyBase) -> str:
    canonical: str = target.url(privacy=True)  # type: ignore[no-untyped-call]
    return canonical.partition("://")[0].lower()


def _check_host(target: apprise.NotifyBase, *, allow_private: bool) -> None:
    host = str(getattr(target, "host", "") or "")
    port = int(getattr(target, "port", None) or 443)
    if not host:
        raise AddressError("malformed", "The address names no host")
    try:
        public_addresses(host, port, allow_private=allow_private)
    except OSError:
        raise AddressError("unresolvable", "The address can't be found") from None
