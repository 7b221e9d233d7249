"""Static files: addresses of our own carry their content's hash, so they are kept for ever and are
never stale; texts are sent squeezed. Pages are not: they hold tokens, and their squeezed length
would tell of them (BREACH).

What is remembered of a file is bounded, however many ways of spelling its address are tried."""

import gzip
import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import Flask, Response, current_app, request
from werkzeug.security import safe_join

SQUEEZED = {".css", ".js", ".svg"}
REMEMBERED_FILES = 100
"""Of which squeezed text and version are kept in memory; there are fewer."""


def register(app: Flask) -> None:
    folder = Path(str(app.static_folder))

    @app.url_defaults
    def add_version(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint == "static" and not values["filename"].startswith("vendor/"):
            values["v"] = _version(folder / values["filename"])

    @app.after_request
    def squeeze(response: Response) -> Response:
        if request.endpoint == "static" and response.status_code == 200:
            _squeeze(response, _file(folder))
        return response


def is_for_ever(response: Response) -> bool:
    """Whether what this address answers can never change: it names the content that is sent. Not
    an error, nor what an older or newer version of us is asked for during an upgrade."""
    if response.status_code not in (200, 304):
        return False
    folder = Path(str(current_app.static_folder))
    file = _file(folder)
    return file.is_relative_to(folder / "vendor") or request.args.get("v") == _version(file)


def _file(folder: Path) -> Path:
    """What Flask has just found under the address asked for, by its one plain name."""
    return Path(safe_join(str(folder), (request.view_args or {})["filename"]) or folder)


def _squeeze(response: Response, path: Path) -> None:
    if path.suffix not in SQUEEZED:
        return
    response.vary.add("Accept-Encoding")
    if request.accept_encodings["gzip"] > 0:
        etag, _is_weak = response.get_etag()
        response.direct_passthrough = False
        response.set_data(_squeezed(path))
        response.content_encoding = "gzip"
        response.set_etag(etag or "", weak=True)


@lru_cache(REMEMBERED_FILES)
def _squeezed(path: Path) -> bytes:
    return gzip.compress(path.read_bytes(), mtime=0)


@lru_cache(REMEMBERED_FILES)
def _version(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:8] if path.is_file() else "missing"
