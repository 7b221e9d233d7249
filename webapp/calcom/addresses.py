"""Which addresses we may call: a tenant's base URL must not reach into private networks.

A name is resolved and judged twice: when the URL is saved (`check_base_url`) and at every connect
(`public_addresses`, used by `transport`), which then dials the judged address itself: a name that
changes in between gains nothing.
"""

import ipaddress
import socket
from queue import Empty, SimpleQueue
from threading import Thread

import httpx

RESOLVE_SECONDS = 5.0
_PATH = "/v2"
_LONGEST_URL = 500

# 2002::/16 wraps any IPv4 address, 64:ff9b:1::/48 a network's own; neither counts as public.
_WRAPPERS = tuple(ipaddress.ip_network(each) for each in ("2002::/16", "64:ff9b:1::/48"))
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class AddressError(ValueError):
    """An address that we don't call.

    `reason`: malformed, scheme, credentials, unresolvable or private. The text is for people.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def parse_base_url(url: str, *, allow_private: bool = False) -> str:
    """The base URL as we use it, ending in `/v2` without a slash; raises AddressError.

    https only, and plain http where private networks are allowed: the key travels with each call.
    """
    parsed = _parsed(url)
    schemes = ("https", "http") if allow_private else ("https",)
    if parsed.scheme not in schemes:
        raise AddressError("scheme", "The address must begin with https://")
    if parsed.userinfo:
        raise AddressError("credentials", "The address must not hold a user or password")
    path = parsed.path.rstrip("/")
    full = path if path.endswith(_PATH) else path + _PATH
    return str(parsed.copy_with(path=full))


def check_base_url(url: str, *, allow_private: bool = False) -> str:
    """Like `parse_base_url`, and the name must resolve to public addresses only."""
    base = parse_base_url(url, allow_private=allow_private)
    parsed = httpx.URL(base)
    try:
        public_addresses(parsed.host, parsed.port or 443, allow_private=allow_private)
    except OSError:
        raise AddressError("unresolvable", "The address can't be found") from None
    return base


def public_addresses(
    host: str, port: int, *, allow_private: bool, timeout_seconds: float = RESOLVE_SECONDS
) -> tuple[str, ...]:
    """The numeric addresses of a host, in the resolver's order, none of them private.

    One private address refuses them all (AddressError); OSError or TimeoutError if unresolvable.
    """
    found = _resolve(host, port, timeout_seconds)
    if not allow_private and not all(is_public(each) for each in found):
        raise AddressError("private", "The address lies in a private network")
    return found


def is_public(address: str) -> bool:
    """Whether a numeric address is one of the open internet."""
    try:
        parsed = _unwrapped(ipaddress.ip_address(address))
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.is_site_local:
        return False
    if any(parsed in network for network in _WRAPPERS if network.version == parsed.version):
        return False
    return parsed.is_global and not (parsed.is_multicast or parsed.is_reserved)


def _unwrapped(address: Address) -> Address:
    """Behind NAT64 (64:ff9b::/96) stands the IPv4 address of the last 32 bits."""
    if address.version == 6 and address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def _parsed(url: str) -> httpx.URL:
    try:
        parsed = httpx.URL(url.strip()[:_LONGEST_URL])
    except (httpx.InvalidURL, ValueError):
        raise AddressError("malformed", "This isn't an address") from None
    if not parsed.host or parsed.query or parsed.fragment:
        raise AddressError("malformed", "The address must be a plain https:// address")
    return parsed


def _resolve(host: str, port: int, timeout_seconds: float) -> tuple[str, ...]:
    """getaddrinfo knows no timeout (a dead resolver takes half a minute), so a thread waits."""
    box: SimpleQueue[tuple[str, ...] | OSError] = SimpleQueue()
    Thread(target=_look_up, args=(host, port, box), daemon=True).start()
    try:
        outcome = box.get(timeout=max(timeout_seconds, 0.001))
    except Empty:
        raise TimeoutError("the name server doesn't answer") from None
    if isinstance(outcome, OSError):
        raise outcome
    return outcome


def _look_up(host: str, port: int, box: "SimpleQueue[tuple[str, ...] | OSError]") -> None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        box.put(tuple(dict.fromkeys(str(each[4][0]) for each in found)))
    except (OSError, UnicodeError):
        box.put(OSError("the name doesn't resolve"))
