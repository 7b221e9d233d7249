"""Keeps the sandbox's rows in one SQLite file, so that they outlive a restart and a kill -9."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from webapp.sandbox.records import Json

SCHEMA = """
CREATE TABLE IF NOT EXISTS document (
  kind TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, id)
) WITHOUT ROWID
"""


class Store:
    """Documents by kind and id. Its owner serialises the calls; without a file it keeps nothing."""

    def __init__(self, path: Path | None) -> None:
        self._open: sqlite3.Connection | None = None
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        self._open = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        # A committed write survives the death of the process; only the machine's could lose it.
        self._open.execute("PRAGMA journal_mode=WAL")
        self._open.execute("PRAGMA synchronous=NORMAL")
        self._open.execute(SCHEMA)

    def put(self, kind: str, key: str, document: Json) -> None:
        if self._open is not None:
            text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
            self._open.execute(
                "INSERT OR REPLACE INTO document VALUES (?, ?, ?)", (kind, key, text)
            )

    def remove(self, kind: str, key: str) -> None:
        if self._open is not None:
            self._open.execute("DELETE FROM document WHERE kind = ? AND id = ?", (kind, key))

    def clear(self) -> None:
        if self._open is not None:
            self._open.execute("DELETE FROM document")

    def load(self, kind: str) -> list[Json]:
        if self._open is None:
            return []
        rows = self._open.execute("SELECT body FROM document WHERE kind = ?", (kind,))
        return [json.loads(body) for (body,) in rows]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing. Nested use joins the outer one."""
        if self._open is None or self._open.in_transaction:
            yield
            return
        self._open.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._open.execute("ROLLBACK")
            raise
        self._open.execute("COMMIT")

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None
