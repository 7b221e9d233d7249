"""What breaks leaves a trace, and the trace holds nothing of the row (docs/logs.md)."""

import traceback
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tests.factories import Tenant
from webapp import clock, logs
from webapp.extensions import db
from webapp.models.customer import Customer
from webapp.models.tenancy import as_company
from webapp.settings import Settings

CANARY = "Erika Kanarienvogel"

Break = Callable[[Tenant], None]


def add(company: Tenant, **columns: object) -> None:
    row = {"name": CANARY, "name_folded": CANARY, "time_zone": "UTC", "language": "de"}
    db.session.add(Customer(**row | {"created_at": clock.now()} | columns))
    db.session.flush()


def check(company: Tenant) -> None:
    add(company, email=CANARY)


def not_null(company: Tenant) -> None:
    add(company, email=CANARY, email_folded=CANARY, language=None)


def unique(company: Tenant) -> None:
    for _ in range(2):
        add(company, id=77, email=CANARY, email_folded=CANARY)
        db.session.expunge_all()


def unreadable(_company: Tenant) -> None:
    db.session.execute(text("SELECT CAST(:words AS integer)"), {"words": CANARY})


def gone(_company: Tenant) -> None:
    db.session.execute(text("SELECT :words, 1/0"), {"words": CANARY})


@pytest.fixture
def configured(settings: Settings) -> Iterator[None]:
    yield
    logs.configure(settings.log_level, settings.log_format)


@pytest.mark.usefixtures("engine", "configured")
@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize("break_it", [check, not_null, unique, unreadable, gone])
def test_a_trace_holds_nothing_of_the_row(
    company: Tenant, capsys: pytest.CaptureFixture[str], log_format: str, break_it: Break
) -> None:
    logs.configure("INFO", log_format)
    with as_company(company.id):
        try:
            break_it(company)
        except DBAPIError as error:
            logs.log("test").exception("broke_off")
            stored = "".join(traceback.format_exception(error))
        db.session.rollback()
    said = capsys.readouterr().err
    assert "broke_off" in said
    for trace in (said, stored):
        assert f"in {break_it.__name__}" in trace
        assert "Kanarienvogel" not in trace
