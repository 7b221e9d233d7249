"""Static files are squeezed where the browser can take it, and pages never are."""

import gzip
from pathlib import Path

from flask.testing import FlaskClient

CSS = "/static/vendor/tabler-1.6.1/tabler.min.css"
FILE = Path(__file__).resolve().parents[2] / CSS.lstrip("/")
SQUEEZED = {"Accept-Encoding": "gzip, br"}


def test_a_style_sheet_is_squeezed(client: FlaskClient) -> None:
    answer = client.get(CSS, headers=SQUEEZED)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in answer.headers["Vary"]
    assert len(answer.data) < FILE.stat().st_size / 4
    assert int(answer.headers["Content-Length"]) == len(answer.data)
    assert gzip.decompress(answer.data) == FILE.read_bytes()


def test_who_cannot_unpack_gets_it_as_it_is(client: FlaskClient) -> None:
    answer = client.get(CSS, headers={"Accept-Encoding": "gzip;q=0"})
    assert "Content-Encoding" not in answer.headers
    assert answer.data == FILE.read_bytes()


def test_what_has_not_changed_is_not_sent_again(client: FlaskClient) -> None:
    etag = client.get(CSS, headers=SQUEEZED).headers["ETag"]
    answer = client.get(CSS, headers={**SQUEEZED, "If-None-Match": etag})
    assert answer.status_code == 304
    assert answer.data == b""


def test_a_page_is_not_squeezed(client: FlaskClient) -> None:
    assert "Content-Encoding" not in client.get("/login", headers=SQUEEZED).headers
