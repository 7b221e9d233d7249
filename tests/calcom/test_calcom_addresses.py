"""A tenant's address can't reach into private networks, not even by changing its name server."""

import socket

import pytest
from calcom_examples import KEY, misbehaving_server

from webapp.calcom.addresses import AddressError, check_base_url, is_public, parse_base_url
from webapp.calcom.client import CalcomClient
from webapp.calcom.errors import Unavailable


def resolving_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    asked: list[str] = []

    def look_up(host: str, port: int, *_: object, **__: object) -> list[object]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://api.cal.com/v2", "https://api.cal.com/v2"),
        ("https://api.cal.com/v2/", "https://api.cal.com/v2"),
        (" https://API.cal.com ", "https://api.cal.com/v2"),
        ("https://cal.firm.example:8443/api", "https://cal.firm.example:8443/api/v2"),
    ],
)
def test_a_base_url_is_brought_into_one_form(url: str, base: str) -> None:
    assert parse_base_url(url) == base


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://api.cal.com", "scheme"),
        ("ftp://api.cal.com", "scheme"),
        ("file:///etc/passwd", "malformed"),
        ("api.cal.com", "malformed"),
        ("", "malformed"),
        ("https://", "malformed"),
        ("https://api.cal.com:port", "malformed"),
        ("https://api.cal.com?x=1", "malformed"),
        ("https://api.cal.com#x", "malformed"),
        ("https://user:pass@api.cal.com", "credentials"),
        ("https://user@api.cal.com", "credentials"),
    ],
)
def test_an_address_that_we_do_not_call_is_refused_with_its_reason(url: str, reason: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse_base_url(url)
    assert caught.value.reason == reason


def test_plain_http_is_for_private_networks_only() -> None:
    assert parse_base_url("http://cal.lan", allow_private=True) == "http://cal.lan/v2"
    with pytest.raises(AddressError):
        CalcomClient("http://cal.lan", KEY)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",  # noqa: S104 - judged, not bound
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "192.0.0.1",
        "198.18.0.1",
        "203.0.113.9",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "fd12::1",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a00:1",
        "64:ff9b:1::a00:1",
        "2002:7f00:1::",
        "nonsense",
    ],
)
def test_no_private_address_counts_as_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "104.18.0.1", "2606:4700::1", "64:ff9b::808:808"])
def test_addresses_of_the_open_internet_are_public(address: str) -> None:
    assert is_public(address)


def test_one_private_address_among_public_ones_refuses_the_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolving_to(monkeypatch, "8.8.8.8", "10.0.0.1")
    with pytest.raises(AddressError) as caught:
        check_base_url("https://mixed.example")
    assert caught.value.reason == "private"
    assert check_base_url("https://mixed.example", allow_private=True)


def test_a_public_name_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving_to(monkeypatch, "8.8.8.8")
    assert check_base_url("https://good.example/v2") == "https://good.example/v2"


def test_a_name_that_does_not_resolve_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror("unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(AddressError) as caught:
        check_base_url("https://nowhere.example")
    assert caught.value.reason == "unresolvable"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"])
def test_the_client_dials_no_private_address_however_it_is_spelled(host: str) -> None:
    dialled: list[object] = []
    with misbehaving_server(dialled.append) as port:
        client = CalcomClient(f"https://{host}:{port}", KEY, deadline_seconds=2)
        with client, pytest.raises(Unavailable) as caught:
            client.me()
    assert caught.value.sent is False
    assert dialled == []


def test_a_name_that_turns_private_after_it_was_saved_is_refused_at_the_connect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolving_to(monkeypatch, "8.8.8.8")
    base = check_base_url("https://rebinding.example")
    asked = resolving_to(monkeypatch, "127.0.0.1")
    with CalcomClient(base, KEY) as client, pytest.raises(Unavailable) as caught:
        client.me()
    assert (caught.value.code, caught.value.sent) == ("CONNECTION", False)
    assert "private" in caught.value.message
    assert asked == ["rebinding.example"]


def test_the_judged_address_itself_is_dialled_without_a_second_look_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dialled: list[str] = []

    def dial(address: tuple[str, int], *_: object, **__: object) -> None:
        dialled.append(address[0])
        raise ConnectionRefusedError

    asked = resolving_to(monkeypatch, "8.8.8.8", "8.8.4.4")
    monkeypatch.setattr(socket, "create_connection", dial)
    with CalcomClient("https://good.example", KEY) as client, pytest.raises(Unavailable):
        client.me()
    assert dialled == ["8.8.8.8", "8.8.4.4"]
    assert asked == ["good.example"]
