"""Tables as CSV that is safe to open in a spreadsheet, sent while it is read.

A cell that a spreadsheet would take for a formula gets an apostrophe in front. Every cell is
quoted, and German readers get semicolons, because Excel goes by the language; the mark at the
beginning makes it read UTF-8.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence

from flask import Response, stream_with_context
from flask_babel import get_locale

from webapp.extensions import db
from webapp.models.tenancy import as_company, require_company_id

BYTE_ORDER_MARK = "\ufeff"
FORMULA_BEGINNINGS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def csv_file(name: str, header: Sequence[str], rows: Iterable[Sequence[object]]) -> Response:
    """A download; `rows` may read the database while they are sent, a stride at a time, made plain
    at once: between two pieces no transaction is open. Whoever takes a file slowly would keep one,
    and the database would end it (`application.FROZEN`)."""
    language = str(get_locale() or "en")[:2]
    lines = _lines(header, rows, delimiter=";" if language == "de" else ",")
    sent = _for_company(require_company_id(), lines)
    response = Response(stream_with_context(sent), mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    return response


def safe_cell(value: object) -> str:
    """A cell's text that no spreadsheet calculates."""
    text = "" if value is None else str(value)
    begins_formula = text.lstrip(" ").startswith(FORMULA_BEGINNINGS)
    return f"'{text}" if begins_formula else text


def _for_company(company_id: int, lines: Iterator[str]) -> Iterator[str]:
    """The request has left its company by the time its answer is sent."""
    with as_company(company_id):
        yield from lines


def _lines(
    header: Sequence[str], rows: Iterable[Sequence[object]], *, delimiter: str
) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    buffer.write(BYTE_ORDER_MARK)
    writer.writerow([safe_cell(title) for title in header])
    for row in rows:
        if buffer.tell() > 8192:
            db.session.rollback()
            yield _taken(buffer)
        writer.writerow([safe_cell(value) for value in row])
    db.session.rollback()
    yield _taken(buffer)


def _taken(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text
