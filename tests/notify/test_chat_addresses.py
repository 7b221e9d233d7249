"""A chat channel's address comes from a tenant: it reaches nobody but the service it names."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from webapp.calcom.addresses import AddressError
from webapp.notify.chat import check_chat_address, send_chat
from webapp.notify.letters import Letter
from webapp.notify.trouble import ChannelTrouble

SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/"
TEAMS = (
    "https://prod-15.uksouth.logic.azure.com:443/workflows/abcd1234/triggers/manual/paths/invoke"
    "?api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig=sigsig"
)
LETTER = Letter("Subject", "Text", "<p>Text</p>", None)
PUBLIC = "93.184.216.34"


def resolve_to(monkeypatch: pytest.MonkeyPatch, *answers: str) -> None:
    """What the name server says, one look-up after the other; the last again and again."""
    left = list(answers)

    def getaddrinfo(_host: str, port: int, *_args: Any, **_kwargs: Any) -> list[Any]:
        answer = left.pop(0) if len(left) > 1 else left[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (answer, port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.mark.parametrize(
    "address",
    [
        SLACK,
        "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
        "https://discord.com/api/webhooks/4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js",
        "https://chat.googleapis.com/v1/spaces/AAAA/messages?key=abc&token=def",
        TEAMS,
        f"twilio://AC{'a' * 32}:{'b' * 32}@+15551234567/+15557654321",
        "tgram://123456789:abcdefg_hijklmnop/12315544/",
        "mmosts://chat.example.org/token123?channel=desk",
        "rockets://user:pass@chat.example.org/#room",
        "matrixs://user:pass@chat.example.org/#room",
        "jsons://chat.example.org/hook",
    ],
)
def test_what_people_have_may_be_used_and_so_may_its_stored_spelling(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, PUBLIC)
    stored, name = check_chat_address(address, allow_private=False)
    assert check_chat_address(stored, allow_private=False) == (stored, name)


@pytest.mark.parametrize(
    "parameter",
    [
        "template=http://10.0.0.5/internal.json",
        "TEMPLATE=file:///etc/hostname",
        "redirect=yes",
        "verify=no",
        "rto=3600",
        "cto=3600",
        "+Metadata-Flavor=Google",
        ":token=x",
    ],
)
@pytest.mark.parametrize(
    "address", [f"{SLACK}?image=no", TEAMS, "jsons://chat.example.org/hook?method=POST"]
)
def test_a_parameter_that_leads_elsewhere_is_refused(
    address: str, parameter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve_to(monkeypatch, PUBLIC)
    with pytest.raises(AddressError) as refused:
        check_chat_address(f"{address}&{parameter}", allow_private=False)
    assert refused.value.reason == "parameter"


@pytest.mark.parametrize("scheme", ["jsons", "mmosts", "rockets", "matrixs"])
def test_a_private_host_is_refused(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, "10.0.0.5")
    with pytest.raises(AddressError) as refused:
        check_chat_address(f"{scheme}://user:pass@chat.example.org/room", allow_private=False)
    assert refused.value.reason == "private"


@pytest.mark.parametrize("address", ["json://127.0.0.1/x", "syslog://"])
def test_a_service_that_is_not_listed_is_refused(address: str) -> None:
    with pytest.raises(AddressError) as refused:
        check_chat_address(address, allow_private=False)
    assert refused.value.reason == "scheme"


def test_what_the_address_asks_for_beside_a_message_is_not_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolve_to(monkeypatch, PUBLIC)
    matrix, _name = check_chat_address(
        "matrixs://user:pass@chat.example.org/#room?discovery=yes&retry=9&wait=99",
        allow_private=False,
    )
    posting, _name = check_chat_address(
        "jsons://chat.example.org/hook?method=GET", allow_private=False
    )
    assert "discovery=no" in matrix
    assert "retry=0&wait=0" in matrix
    assert "method=POST" in posting


@pytest.fixture
def elsewhere() -> Iterator[tuple[str, list[str]]]:
    """A server that sends everybody on to another path of its own, and what it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(307)
            self.send_header("Location", "/internal")
            self.end_headers()

        def log_message(self, *_words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"json://127.0.0.1:{server.server_port}/hook", asked
    server.shutdown()
    server.server_close()


def test_a_redirect_is_not_followed(elsewhere: tuple[str, list[str]]) -> None:
    address, asked = elsewhere
    with pytest.raises(ChannelTrouble):
        send_chat(address, LETTER, allow_private=True)
    assert asked == ["/hook"]


def test_a_name_that_changes_after_it_was_judged_gains_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolve_to(monkeypatch, PUBLIC, "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as inside:
        inside.settimeout(0.2)
        address = f"jsons://chat.example.org:{inside.getsockname()[1]}/hook"
        with pytest.raises(ChannelTrouble) as refused:
            send_chat(address, LETTER, allow_private=False)
        with pytest.raises(TimeoutError):
            inside.accept()
    assert refused.value.code == "CHAT_REFUSED"
