"""The review queue: what it lists, in which order, and one click from trouble to result."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import Engine, text

from tests.factories import Tenant, make_appointment, make_customer, make_discrepancy
from tests.views.conftest import Visitor
from tests.views.counting import count_statements
from tests.views.markup import by_id, find, read, words
from webapp import clock
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


def test_pushing_again_asks_first_and_then_shows_the_row(at_manager: Visitor, finding: int) -> None:
    address = f"/reviews/{finding}/pushes"
    assert "Cal.com will mail Erika Beispiel" in at_manager.page(address)
    dialog = by_id(at_manager.get(address, htmx=True).text, "confirmation")
    assert dialog is not None
    assert dialog.attributes["hx-target"] == f"#review-{finding}"
    row = by_id(at_manager.post(address, htmx=True).text, f"review-{finding}")
    assert row is not None
    assert "Sending to Cal.com" in row.text
    assert row.attributes["hx-trigger"] == "every 2s"


def test_a_get_changes_nothing(at_manager: Visitor, finding: int, owner_engine: Engine) -> None:
    at_manager.get(f"/reviews/{finding}/pushes")
    with owner_engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM intents")).scalar_one() == 0
