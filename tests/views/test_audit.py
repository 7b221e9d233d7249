"""The audit log's page: admins and managers see who did what, filtered by its address."""

import csv
import io
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from tests.factories import Person, Tenant
from tests.views.conftest import Visitor
from tests.views.counting import count_statements
from webapp import clock
from webapp.extensions import db
from webapp.jobs.sealing import seal
from webapp.models.audit import Actor, AuditEntry, record_audit
from webapp.models.tenancy import as_company
from webapp.views.paging import PAGE_SIZE


def write(app: Flask, tenant: Tenant, action: str, *, days_ago: int = 0, **columns: object) -> None:
    with app.app_context(), as_company(tenant.id):
        at = clock.now() - timedelta(days=days_ago)
        record_audit(
            db.session(),
            action,
            str(columns.pop("subject", "company:1")),
            at=at,
            actor=Actor(str(columns.pop("actor", "system"))),
            user_id=columns.pop("user_id", None),  # type: ignore[arg-type]
            **columns,
        )
        db.session.commit()


def test_who_did_what_is_said_in_words(
    app: Flask, at_manager: Visitor, company: Tenant, admin: Person
) -> None:
    write(app, company, "api_token.revoked", subject="api_token:7", actor="user", user_id=admin.id)
    write(app, company, "company.paused", actor="operator", rows=3)
    write(app, company, "something.new", subject="thing:1")

    page = at_manager.get("/audit").text

    assert "API token revoked" in page
    assert "API token #7" in page
    assert "Admin of sonnenschein" in page
    assert "Operator" in page
    assert "rows=3" in page
    assert "something.new" in page, "what has no words yet is shown by its code"


def test_another_companys_entries_and_people_are_not_shown(
    app: Flask, at_admin: Visitor, company: Tenant, other_company: Tenant, stranger: Person
) -> None:
    write(app, other_company, "company.resumed")
    write(app, company, "company.paused", actor="user", user_id=stranger.id)

    page = at_admin.get("/audit").text

    assert '<td data-label="What">Sending resumed' not in page
    assert "Admin of blau" not in page


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", {"Sending paused", "Policies changed"}),
        ("?act=company.paused", {"Sending paused"}),
        ("?actor=operator", {"Policies changed"}),
        ("?act=company.paused&actor=operator", set()),
        ("?from={yesterday}", {"Policies changed"}),
        ("?to={yesterday}", {"Sending paused"}),
        ("?act=nonsense&actor=nobody&from=never&after=x", {"Sending paused", "Policies changed"}),
    ],
)
def test_the_list_is_filtered_by_its_address(
    app: Flask, at_admin: Visitor, company: Tenant, query: str, shown: set[str]
) -> None:
    write(app, company, "company.paused", days_ago=3)
    write(app, company, "policies.changed", actor="operator")
    yesterday = (clock.now() - timedelta(days=1)).date().isoformat()

    page = at_admin.get("/audit" + query.format(yesterday=yesterday)).text

    cells = {words for words in ("Sending paused", "Policies changed") if f">{words}</td>" in page}
    assert cells == shown
    if not shown:
        assert "Nothing matches these filters" in page


def test_pages_follow_one_another_without_a_gap_and_cost_the_same(
    app: Flask, at_admin: Visitor, company: Tenant
) -> None:
    for number in range(PAGE_SIZE + 5):
        write(app, company, "company.paused", number=f"<{number}>")
    with app.app_context(), as_company(company.id):
        logins = db.session.query(AuditEntry).filter_by(action="logged_in").count()

    with count_statements(app) as statements:
        first = at_admin.get("/audit?act=company.paused")
    following = first.text.split('rel="next"')[0].rsplit('href="', 1)[1].split('"')[0]
    with count_statements(app) as later:
        second = at_admin.get(following.replace("&amp;", "&"))

    numbers = [
        number
        for number in range(PAGE_SIZE + 5)
        if f"number=&lt;{number}&gt;" in first.text + second.text
    ]
    assert numbers == list(range(PAGE_SIZE + 5))
    assert len(later) <= len(statements)
    assert logins


def test_it_says_how_far_it_is_sealed(app: Flask, at_admin: Visitor, company: Tenant) -> None:
    write(app, company, "company.paused")
    assert "Not sealed yet" in at_admin.get("/audit").text

    with app.app_context():
        seal(company.id, company.id)

    assert "Sealed up to entry #" in at_admin.get("/audit").text


def test_what_matches_is_exported_and_that_is_written_down(
    app: Flask, at_manager: Visitor, manager: Person, company: Tenant
) -> None:
    write(app, company, "company.paused", note="=1+1")
    write(app, company, "policies.changed")

    answer = at_manager.post("/audit/exports", {"act": "company.paused"})

    rows = list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert [row[3] for row in rows] == ["What", "Sending paused"]
    assert answer.headers["Content-Disposition"] == 'attachment; filename="audit.csv"'
    with app.app_context(), as_company(company.id):
        entry = db.session.scalars(
            select(AuditEntry).where(AuditEntry.action == "audit.exported")
        ).one()
        assert entry.user_id == manager.id
        assert entry.data == {"filters": {"act": "company.paused"}}


def test_the_export_reads_past_its_first_stride(
    app: Flask, at_admin: Visitor, company: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.views.audit.STRIDE", 3)
    for _ in range(7):
        write(app, company, "company.paused")

    answer = at_admin.post("/audit/exports", {"act": "company.paused"})

    assert len(answer.text.strip().splitlines()) == 8


def test_whoever_takes_the_file_slowly_keeps_no_transaction_open(
    app: Flask, at_admin: Visitor, company: Tenant, waiting_transactions: Callable[[], int]
) -> None:
    """The database ends one that idles, and the file would end in the middle, after a 200."""
    for _ in range(100):
        write(app, company, "company.paused", note="x" * 100)

    answer = at_admin.client.post("/audit/exports", buffered=False)

    pieces = answer.iter_encoded()
    assert len(next(pieces)) < 10_000
    assert waiting_transactions() == 0
    assert b"".join(pieces).count(b"Sending paused") >= 30


def test_staff_have_no_way_to_it(at_staff: Visitor) -> None:
    assert at_staff.get("/audit").status_code == 403
    assert "/audit" not in at_staff.get("/").text
