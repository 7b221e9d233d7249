"""Static files: addresses of our own carry their content's hash, so they are kept for ever and are
never stale; texts are sent squeezed. Pages are not: they hold tokens, and their squeezed length
would tell of them (BREACH)."""

import gzip
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask, Response, request

SQUEEZED = {".css", ".js", ".svg"}


def register(app: Flask) -> None:
    folder = Path(str(app.static_folder))

    @app.url_defaults
    def add_version(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint == "static" and not values["filename"].startswith("vendor/"):
            values["v"] = _version(folder / values["filename"])

    @app.after_request
    def squeeze(response: Response) -> Response:
        if request.endpoint == "static" and response.status_code == 200:
            _squeeze(response, folder / (request.view_args or {})["filename"])
        return response


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


@cache
def _squeezed(path: Path) -> bytes:
    return gzip.compress(path.read_bytes(), mtime=0)


@cache
def _version(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:8] if path.is_file() else "missing"
