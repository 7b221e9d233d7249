"""The review queue: what it lists, in which order, and one click from trouble to result."""

import csv
import io
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import Engine, text

from tests.factories import (
    Person,
    Tenant,
    make_appointment,
    make_customer,
    make_discrepancy,
    make_service,
)
from tests.views.conftest import Visitor
from tests.views.counting import count_statements
from tests.views.markup import by_id, find, read, words
from webapp import clock
from webapp.models.appointment import Origin
from webapp.models.discrepancy import DiscrepancyType
from webapp.models.sync_state import SyncState
from webapp.views.paging import PAGE_SIZE

Make = Callable[..., int]


def _rows(html: str) -> list[int]:
    return [
        int(each.attributes["id"].removeprefix("review-"))
        for each in read(html)
        if each.tag == "tr" and each.attributes.get("id", "").startswith("review-")
    ]


@pytest.fixture
def finding(make: Make, company: Tenant) -> int:
    return make(make_discrepancy, company)


def _set(owner_engine: Engine, changes: str) -> None:
    with owner_engine.begin() as connection:
        connection.execute(text(f"UPDATE appointments SET {changes}"))


def _settle(owner_engine: Engine) -> None:
    _set(
        owner_engine,
        "calcom_sync_status = 'synced', sync_verified_at = now(), requires_manual_review = false,"
        " manual_review_flagged_at = NULL, verification_requested_at = NULL",
    )
    with owner_engine.begin() as connection:
        connection.execute(
            text("UPDATE discrepancies SET resolution = 'by_itself', resolved_at = now()")
        )


def test_what_requires_review_comes_first_and_the_oldest_on_top(
    at_staff: Visitor, make: Make, company: Tenant
) -> None:
    def opened(hours: int, *, flagged: bool) -> int:
        appointment = make(make_appointment, company, state=SyncState.FAILED, flagged=flagged)
        at = clock.now() - timedelta(hours=hours)
        return make(make_discrepancy, company, appointment, opened_at=at)

    unflagged, young, old = (
        opened(9, flagged=False),
        opened(1, flagged=True),
        opened(5, flagged=True),
    )
    page = at_staff.page("/reviews")
    assert _rows(page) == [old, young, unflagged]
    assert "3 open" in words(page)
    assert "5 h" in page


def test_settled_findings_are_gone(at_staff: Visitor, finding: int, owner_engine: Engine) -> None:
    _settle(owner_engine)
    page = at_staff.page("/reviews")
    assert _rows(page) == []
    assert "All settled" in page


def test_the_queue_is_filtered_by_type_and_customer(
    at_staff: Visitor, make: Make, company: Tenant, finding: int
) -> None:
    customer = make(make_customer, company, "xaver@example.org", name="Xaver Zahn")
    appointment = make(
        make_appointment,
        company,
        customer_id=customer,
        state=SyncState.ORPHANED_LOCAL,
        flagged=True,
    )
    other = make(
        make_discrepancy,
        company,
        appointment,
        type_=DiscrepancyType.ORPHANED_LOCAL,
        code="ORPHANED_LOCAL",
    )
    assert _rows(at_staff.page("/reviews?type=orphaned_local")) == [other]
    assert _rows(at_staff.page("/reviews?text=xav")) == [other]
    assert _rows(at_staff.page(f"/reviews?text=%23{appointment}")) == [other]
    assert _rows(at_staff.page("/reviews?type=nonsense")) == [finding, other]


def test_paging_shows_every_finding_once(at_staff: Visitor, make: Make, company: Tenant) -> None:
    at = clock.now()
    for number in range(PAGE_SIZE + 3):
        appointment = make(
            make_appointment, company, state=SyncState.FAILED, flagged=number % 2 == 0
        )
        make(make_discrepancy, company, appointment, opened_at=at)
    page = at_staff.page("/reviews")
    [onward] = find(page, "a", rel="next")
    rest = at_staff.page(onward.attributes["href"].replace("&amp;", "&"))
    assert len(_rows(page)) == PAGE_SIZE
    assert len(set(_rows(page) + _rows(rest))) == PAGE_SIZE + 3


def test_the_queue_costs_the_same_for_one_row_and_for_many(
    app: Flask, at_staff: Visitor, make: Make, company: Tenant, finding: int
) -> None:
    with count_statements(app) as few:
        at_staff.page("/reviews")
    for _ in range(5):
        make(make_discrepancy, company)
    with count_statements(app) as many:
        at_staff.page("/reviews")
    assert len(many) == len(few)


def test_each_row_leads_to_its_appointment(at_staff: Visitor, finding: int) -> None:
    [link] = find(at_staff.page("/reviews"), "a", class_="row-link")
    assert at_staff.get(link.attributes["href"]).status_code == 200


def test_a_retry_says_verifying_and_asks_every_two_seconds(
    at_manager: Visitor, finding: int
) -> None:
    answer = at_manager.post(f"/reviews/{finding}/retries", htmx=True).text
    row = by_id(answer, f"review-{finding}")
    assert row is not None
    assert "Verifying …" in row.text
    assert row.attributes["hx-trigger"] == "every 2s"
    assert row.attributes["hx-get"] == f"/reviews/{finding}?poll="
    still = at_manager.get(f"/reviews/{finding}?poll=", htmx=True).text
    assert "every 2s" in still


def test_a_retry_that_succeeds_says_so_and_stops_asking(
    at_manager: Visitor, finding: int, owner_engine: Engine
) -> None:
    at_manager.post(f"/reviews/{finding}/retries", htmx=True)
    _settle(owner_engine)
    row = by_id(at_manager.get(f"/reviews/{finding}?poll=", htmx=True).text, f"review-{finding}")
    assert row is not None
    assert "Sync successful" in row.text
    assert "hx-trigger" not in row.attributes
    assert "Retry" not in row.text


def test_a_retry_that_fails_says_why_and_can_be_repeated(
    at_manager: Visitor, finding: int, owner_engine: Engine
) -> None:
    at_manager.post(f"/reviews/{finding}/retries", htmx=True)
    _set(owner_engine, "calcom_sync_status = 'failed', verification_requested_at = NULL")
    row = by_id(at_manager.get(f"/reviews/{finding}?poll=", htmx=True).text, f"review-{finding}")
    assert row is not None
    assert "Verified: still requires review" in row.text
    assert "no longer say the same" in row.text
    assert "Retry" in row.text
    assert "hx-trigger" not in row.attributes


def test_a_slow_retry_says_so_and_asks_less_often(at_manager: Visitor, finding: int) -> None:
    at_manager.post(f"/reviews/{finding}/retries", htmx=True)
    clock.advance(timedelta(minutes=3))
    answer = at_manager.get(f"/reviews/{finding}?poll=", htmx=True).text
    assert "longer than usual" in answer
    assert "every 15s" in answer


def test_the_answer_brings_the_badge_along(at_manager: Visitor, finding: int) -> None:
    answer = at_manager.post(f"/reviews/{finding}/retries", htmx=True).text
    assert answer.count("hx-swap-oob") == 1


def test_without_script_a_retry_ends_on_the_queue(at_manager: Visitor, finding: int) -> None:
    response = at_manager.post(f"/reviews/{finding}/retries")
    assert (response.status_code, response.location) == (303, "/reviews")
    page = at_manager.page("/reviews")
    assert "Verifying now." in page
    assert at_manager.get(f"/reviews/{finding}").status_code == 303


def test_a_second_click_starts_nothing_new(
    at_manager: Visitor, finding: int, owner_engine: Engine
) -> None:
    _settle(owner_engine)
    answer = at_manager.post(f"/reviews/{finding}/retries", htmx=True).text
    assert "Nothing was started" in answer


def test_a_get_changes_nothing(at_manager: Visitor, finding: int, owner_engine: Engine) -> None:
    at_manager.get(f"/reviews/{finding}/pushes")
    with owner_engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM intents")).scalar_one() == 0


@pytest.fixture
def lost(make: Make, company: Tenant) -> int:
    """A finding whose booking is missing."""
    appointment = make(make_appointment, company, state=SyncState.ORPHANED_LOCAL, flagged=True)
    type_ = DiscrepancyType.ORPHANED_LOCAL
    return make(make_discrepancy, company, appointment, type_=type_, code="ORPHANED_LOCAL")


def test_pushing_again_asks_first_and_then_shows_the_row(at_manager: Visitor, lost: int) -> None:
    address = f"/reviews/{lost}/pushes"
    assert "Cal.com will mail Erika Beispiel" in at_manager.page(address)
    dialog = by_id(at_manager.get(address, htmx=True).text, "confirmation")
    assert dialog is not None
    assert dialog.attributes["hx-target"] == f"#review-{lost}"
    row = by_id(at_manager.post(address, htmx=True).text, f"review-{lost}")
    assert row is not None
    assert "Sending to Cal.com" in row.text
    assert row.attributes["hx-trigger"] == "every 2s"


MOVED_THERE = {
    "starts_at": {
        "base": "2031-01-07T10:00:00+00:00",
        "ours": "2031-01-07T10:00:00+00:00",
        "theirs": "2031-01-07T15:00:00+00:00",
        "moved": "theirs",
    }
}


@pytest.fixture
def moved(make: Make, company: Tenant) -> int:
    evidence = {"fields": MOVED_THERE, "remote_updated_at": "2026-01-05T09:02:00+00:00"}
    return make(make_discrepancy, company, evidence=evidence)


def test_the_evidence_says_who_did_what_when_and_both_sides_stand_beside_each_other(
    at_staff: Visitor, moved: int
) -> None:
    page = words(" ".join(each.text for each in read(at_staff.page("/reviews"))[:1]))
    assert (
        "Cal.com moved it to Tue 7 Jan 2031, 16:00, on Mon 5 Jan 2026, 10:02; ours is unchanged"
        " since both agreed." in page
    )
    assert "take Cal.com's version" in page
    assert "Last agreed Here Cal.com Start Tue 7 Jan 2031, 11:00 Tue 7 Jan 2031, 11:00" in page


def test_a_second_booking_says_whose_it_doubles_and_is_best_cancelled(
    at_manager: Visitor, make: Make, company: Tenant
) -> None:
    first = make(make_appointment, company)
    second = make(make_appointment, company, state=SyncState.ORPHANED_CALCOM, flagged=True)
    make(
        make_discrepancy,
        company,
        second,
        type_=DiscrepancyType.ORPHANED_CALCOM,
        code="ORPHANED_CALCOM",
        evidence={"second_of": first},
    )
    for address in ("/reviews", f"/appointments/{second}"):
        page = at_manager.page(address)
        assert f"the key of appointment #{first}, which has a booking of its own" in words(page)
        assert "Cancel it on Cal.com; adopt it only if both" in words(page)
        assert f'href="/appointments/{first}"' in page


def test_the_queue_shows_in_which_words_cal_com_refused(
    at_staff: Visitor, make: Make, company: Tenant
) -> None:
    make(
        make_discrepancy,
        company,
        type_=DiscrepancyType.SYNC_FAILED,
        code="HTTP_422",
        evidence={"detail": "No hosts <left>"},
    )
    assert "Cal.com says: No hosts &lt;left&gt;" in at_staff.page("/reviews")


def test_taking_their_version_is_one_click_that_is_watched(at_manager: Visitor, moved: int) -> None:
    address = f"/reviews/{moved}/takeovers"
    assert f'hx-post="{address}"' in at_manager.page("/reviews")
    row = by_id(at_manager.post(address, htmx=True).text, f"review-{moved}")
    assert row is not None
    assert "Verifying …" in row.text
    assert row.attributes["hx-trigger"] == "every 2s"


def test_what_cannot_be_undone_asks_first(at_manager: Visitor, lost: int) -> None:
    page = at_manager.page("/reviews")
    address = f"/reviews/{lost}/takeovers"
    assert f'hx-get="{address}"' in page
    assert f'hx-post="{address}"' not in page
    asked = words(at_manager.page(address))
    assert "The appointment will be cancelled here" in asked
    assert "Cal.com will mail" not in asked


def test_without_script_one_is_back_where_one_was_in_the_queue(
    at_manager: Visitor, finding: int
) -> None:
    """Filters live in the address; what belongs to no filter doesn't come along."""
    page = at_manager.page("/reviews?type=data_mismatch&next=https://evil.test")
    [retry] = [
        form.attributes["action"]
        for form in find(page, "form", method="post")
        if "/retries" in form.attributes["action"]
    ]
    [dismiss] = [
        link.attributes["href"]
        for link in find(page, "a")
        if "/dismissals" in link.attributes.get("href", "")
    ]
    asked = at_manager.page(dismiss)
    [form] = find(asked, "form", id="confirmation")
    refused = at_manager.post(form.attributes["action"], {"reason": " "})
    assert find(refused.text, "a", href="/reviews?type=data_mismatch", data_close="")
    dismissed = at_manager.post(form.attributes["action"], {"reason": "Agreed"})
    assert dismissed.location == "/reviews?type=data_mismatch"
    assert at_manager.post(retry).location == "/reviews?type=data_mismatch"


def test_a_dismissal_wants_a_reason_and_takes_the_row_out(
    at_manager: Visitor, finding: int
) -> None:
    address = f"/reviews/{finding}/dismissals"
    refused = at_manager.post(address, {"reason": "  "}, htmx=True)
    assert (refused.status_code, "Give a reason" in refused.text) == (422, True)
    assert refused.headers["HX-Retarget"] == "#confirmation", "and not in place of the row"
    answer = at_manager.post(address, {"reason": "Agreed by telephone"}, htmx=True).text
    row = by_id(answer, f"review-{finding}")
    assert row is not None
    assert "Dismissed" in row.text
    assert "hx-trigger" not in row.attributes
    assert _rows(at_manager.page("/reviews")) == []
    page = words(at_manager.page("/appointments/1"))
    assert "Settled findings" in page
    assert "Reason: Agreed by telephone" in page
    assert "Dismissed, Manager of sonnenschein" in page


def test_what_is_not_offered_is_refused_with_the_reason(at_manager: Visitor, finding: int) -> None:
    answer = at_manager.post(f"/reviews/{finding}/adoptions", htmx=True).text
    assert "as things stand now, this cannot be done" in answer
    assert at_manager.post(f"/reviews/{finding}/adoptions").status_code == 303
    assert "as things stand now, this cannot be done" in at_manager.page("/reviews")


def test_from_the_appointment_one_comes_back_to_the_appointment(
    at_manager: Visitor, moved: int
) -> None:
    page = at_manager.page("/appointments/1")
    assert f"/reviews/{moved}/takeovers?from=appointment" in page
    response = at_manager.post(f"/reviews/{moved}/takeovers?from=appointment")
    assert (response.status_code, response.location) == (303, "/appointments/1")
    assert "Verifying now." in at_manager.page("/appointments/1")


def test_every_filter_narrows(at_staff: Visitor, make: Make, company: Tenant, finding: int) -> None:
    service = make(make_service, company, event_type_id=77)
    appointment = make(
        make_appointment,
        company,
        service_id=service,
        sync_origin=Origin.RETELL,
        state=SyncState.FAILED,
        flagged=True,
    )
    old = make(
        make_discrepancy,
        company,
        appointment,
        type_=DiscrepancyType.SYNC_FAILED,
        code="HTTP_502",
        opened_at=clock.now() - timedelta(hours=30),
    )
    for query in (
        "type=sync_failed",
        "code=http_502",
        "origin=retell",
        f"service={service}",
        "age=24",
        f"text={appointment}",
        "type=sync_failed&origin=retell&age=4&text=erika",
    ):
        assert _rows(at_staff.page(f"/reviews?{query}")) == [old], query
    for nonsense in ("origin=x", "age=7", "age=-1", "type=", "code="):
        assert len(_rows(at_staff.page(f"/reviews?{nonsense}"))) == 2, nonsense
    assert _rows(at_staff.page("/reviews?text=99999999999999999999")) == []
    assert at_staff.get("/reviews?service=x").status_code == 404


def test_a_strangers_service_in_the_filter_is_404(at_stranger: Visitor, company: Tenant) -> None:
    assert at_stranger.get(f"/reviews?service={company.service_id}").status_code == 404


def test_pages_stay_put_while_findings_come_and_go(
    at_staff: Visitor, make: Make, company: Tenant
) -> None:
    now = clock.now()

    def found(minutes_ago: int) -> int:
        return make(make_discrepancy, company, opened_at=now - timedelta(minutes=minutes_ago))

    expected = [found(1000 - number) for number in range(PAGE_SIZE + 5)]
    page = at_staff.page("/reviews")
    assert _rows(page) == expected[:PAGE_SIZE]
    older, newer = found(5000), found(1)
    [onward] = find(page, "a", rel="next")
    rest = _rows(at_staff.page(onward.attributes["href"].replace("&amp;", "&")))
    assert rest == [*expected[PAGE_SIZE:], newer]
    assert older not in rest


def test_the_count_is_capped_and_says_so(
    at_staff: Visitor, make: Make, company: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(4):
        make(make_discrepancy, company)
    for module in ("review_queue", "reviews"):
        monkeypatch.setattr(f"webapp.views.{module}.COUNTED_UP_TO", 3)
    assert "more than 3 open" in words(at_staff.page("/reviews"))


def _export(visitor: Visitor, **form: str) -> list[list[str]]:
    response = visitor.post("/reviews/exports", form)
    assert response.mimetype == "text/csv"
    assert "attachment" in response.headers["Content-Disposition"]
    text_ = response.data.decode("utf-8")
    assert text_.startswith('\ufeff"Finding","Appointment",')
    return list(csv.reader(io.StringIO(text_[1:])))


def test_everything_that_matches_is_exported_and_no_cell_is_a_formula(
    at_manager: Visitor, make: Make, company: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.views.review_queue.EXPORT_BATCH", 3)
    names = [
        "=1+1",
        "+49",
        "-2",
        "@SUM(A1)",
        "\tx",
        "\rx",
        '=cmd|" /C calc"!A0',
        " =2",
        "Ärzte; GmbH",
    ]
    for number, name in enumerate(names):
        customer = make(make_customer, company, f"c{number}@example.org", name=name)
        appointment = make(
            make_appointment, company, customer_id=customer, state=SyncState.FAILED, flagged=True
        )
        make(make_discrepancy, company, appointment)
    make(make_discrepancy, company, type_=DiscrepancyType.SYNC_FAILED, code="TIMEOUT")
    header, *rows = _export(at_manager, type="data_mismatch")
    assert len(rows) == len(names)
    assert [row[2] for row in rows] == [f"'{name}" for name in names[:-1]] + names[-1:]
    for row in rows:
        assert len(row) == len(header)
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row)


def test_an_export_that_is_taken_slowly_keeps_no_transaction_open(
    at_manager: Visitor, finding: int, waiting_transactions: Callable[[], int]
) -> None:
    answer = at_manager.client.post("/reviews/exports", buffered=False)
    pieces = answer.iter_encoded()
    next(pieces)
    assert waiting_transactions() == 0
    assert b"".join(pieces) == b"", "that was the whole of it, and it's over"


def test_attempts_are_those_at_the_push_where_one_failed(
    at_manager: Visitor, make: Make, company: Tenant, owner_engine: Engine
) -> None:
    make(make_discrepancy, company)
    failed = {"type_": DiscrepancyType.SYNC_FAILED, "code": "HTTP_503"}
    make(make_discrepancy, company, **failed, evidence={"attempts": 7})
    make(make_discrepancy, company, **failed)
    _set(owner_engine, "sync_attempt_count = 2")

    page = at_manager.page("/reviews")

    cells = find(page, "td", data_label="Attempts")
    assert sorted(cell.text.strip() for cell in cells) == ["2", "2", "7"]
    header, *rows = _export(at_manager)
    assert sorted(row[header.index("Attempts")] for row in rows) == ["2", "2", "7"]


def test_german_readers_get_semicolons(at_manager: Visitor, finding: int) -> None:
    at_manager.post("/profile/language", {"language": "de"})
    response = at_manager.post("/reviews/exports")
    assert response.data.decode().startswith('\ufeff"Befund";"Termin";')


def test_an_export_is_audited_without_the_name_that_was_looked_for(
    at_manager: Visitor, manager: Person, finding: int, owner_engine: Engine
) -> None:
    _export(at_manager, text="Erika", type="data_mismatch")
    with owner_engine.connect() as connection:
        [entry] = connection.execute(
            text("SELECT user_id, data FROM audit_entries WHERE action = 'reviews.exported'")
        )
    assert entry.user_id == manager.id
    assert entry.data == {"rows": 1, "filters": {"type": "data_mismatch"}, "is_searched": True}


def test_staff_may_not_export(at_staff: Visitor, finding: int) -> None:
    assert at_staff.post("/reviews/exports").status_code == 403


def test_what_came_back_says_how_often(at_staff: Visitor, make: Make, company: Tenant) -> None:
    make(make_discrepancy, company, reopened_count=2)
    assert "came back 2 times" in at_staff.page("/reviews")
