"""Addresses of our own static files carry their content's hash: kept for ever, never stale."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask


def register(app: Flask) -> None:
    folder = Path(str(app.static_folder))

    @app.url_defaults
    def add_version(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint == "static" and not values["filename"].startswith("vendor/"):
            values["v"] = _version(folder / values["filename"])


@cache
def _version(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:8] if path.is_file() else "missing"
