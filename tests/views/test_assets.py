"""Static files are squeezed where the browser can take it, and pages never are; what cannot change
is kept."""

import gzip
import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from webapp.views import assets
from webapp.views.headers import ONE_YEAR_SECONDS

CSS = "/static/vendor/tabler-1.6.1/tabler.min.css"
FILE = Path(__file__).resolve().parents[2] / CSS.lstrip("/")
STATIC = FILE.parents[2]
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


def test_however_a_files_address_is_spelt_it_is_remembered_once(client: FlaskClient) -> None:
    """Anybody may ask, and as often as they like."""
    assets._squeezed.cache_clear()
    for spelling in ("", "vendor/../", "./", "vendor/nothing/../../", "//"):
        path = CSS.replace("/static/", f"/static/{spelling}")
        client.get(path, headers=SQUEEZED)
    assert assets._squeezed.cache_info().currsize == 1
    limit = assets._squeezed.cache_info().maxsize
    assert limit is not None, "where capitals don't matter there are other ways to spell"


def test_an_address_through_a_folder_that_is_not_there_is_no_fault_of_ours(
    client: FlaskClient,
) -> None:
    answer = client.get("/static/nope/../app.css", headers=SQUEEZED)
    assert answer.status_code == 200
    assert gzip.decompress(answer.data) == (STATIC / "app.css").read_bytes()


def test_what_can_never_change_is_kept_for_a_year(client: FlaskClient) -> None:
    [version] = re.findall(r"app\.css\?v=(\w+)", client.get("/login").text)
    for path in (CSS, f"/static/app.css?v={version}"):
        for headers in ({}, {"If-None-Match": client.get(path).headers["ETag"]}):
            kept = client.get(path, headers=headers).headers["Cache-Control"]
            assert kept == f"public, max-age={ONE_YEAR_SECONDS}, immutable"


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/static/vendor/tabler-9.9.9/tabler.min.css", "no-store"),
        ("/static/nothing.js?v=12345678", "no-store"),
        ("/static/app.css?v=12345678", "no-cache"),
        ("/static/app.css", "no-cache"),
        ("/static/vendor/../app.css", "no-cache"),
    ],
)
def test_what_the_next_version_may_have_is_not_kept(
    client: FlaskClient, path: str, kept: str
) -> None:
    """While machines are upgraded one after the other, a new page may ask an old machine."""
    assert client.get(path).headers["Cache-Control"] == kept
