"""Bulk actions at the desk: preview, confirmation, watching, stopping, outcomes; and strangers."""

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
    make_bulk_action,
    make_customer,
    make_discrepancy,
    make_notification,
)
from tests.views.conftest import Visitor
from tests.views.counting import count_statements
from tests.views.markup import bars, by_id, find, words
from webapp import clock
from webapp.models.discrepancy import Action, DiscrepancyType
from webapp.models.notification import NotificationType
from webapp.models.sync_state import SyncState

Make = Callable[..., int]


@pytest.fixture
def findings(make: Make, company: Tenant, owner_engine: Engine) -> list[int]:
    """Two mismatches and a lost booking, the last of a customer without an e-mail address."""
    silent = make(make_customer, company, phone="+491")
    with owner_engine.begin() as connection:
        forget = "UPDATE customers SET email = NULL, email_folded = NULL WHERE id = :id"
        connection.execute(text(forget), {"id": silent})
    lost = make(
        make_appointment,
        company,
        customer_id=silent,
        state=SyncState.ORPHANED_LOCAL,
        flagged=True,
    )
    type_ = DiscrepancyType.ORPHANED_LOCAL
    return [
        make(make_discrepancy, company),
        make(make_discrepancy, company),
        make(make_discrepancy, company, lost, type_=type_, code="ORPHANED_LOCAL"),
    ]


def fields(page: str) -> dict[str, str]:
    """What the preview's form would send, its ids left out."""
    hidden = [each.attributes for each in find(page, "input", type="hidden")]
    return {each["name"]: each.get("value", "") for each in hidden if each["name"] != "id"}


def items(owner_engine: Engine) -> list[tuple[int, str]]:
    with owner_engine.connect() as connection:
        rows = connection.execute(
            text("SELECT discrepancy_id, status FROM bulk_items ORDER BY discrepancy_id")
        )
        return [(row.discrepancy_id, row.status) for row in rows]


def test_the_queue_offers_one_thing_for_many(at_manager: Visitor, findings: list[int]) -> None:
    page = at_manager.page("/reviews?type=data_mismatch")
    assert len(find(page, "input", type="checkbox", name="id", form="bulk")) == 2
    assert "For all that match …" in page


def test_a_preview_says_how_many_of_what_and_who_is_mailed(
    at_manager: Visitor, findings: list[int]
) -> None:
    def shown(kind: str) -> str:
        return words(at_manager.page(f"/bulk-actions/new?kind={kind}&scope=matching"))

    assert "Retry: 3 findings" in shown("retry")
    assert "No customer is mailed." in shown("retry")
    page = shown("keep_ours")
    assert "Keep ours: 2 findings" in page
    assert "Cal.com mails up to 1 customer about 2 appointments." in page
    assert "1 other finding you chose cannot be settled this way" in page
    assert "1 customer has no e-mail address" in shown("push_again")
    assert "1 appointment will be cancelled here" in shown("take_remote")
    assert "There is nothing to do" in shown("adopt")


def test_what_is_confirmed_is_what_was_shown_and_nothing_found_since(
    at_manager: Visitor, make: Make, company: Tenant, findings: list[int], owner_engine: Engine
) -> None:
    page = at_manager.page("/bulk-actions/new?kind=retry&scope=matching&type=data_mismatch")
    clock.advance(timedelta(minutes=1))
    make(make_discrepancy, company)
    response = at_manager.post("/bulk-actions", fields(page))
    assert (response.status_code, response.location) == (303, "/bulk-actions/1")
    assert items(owner_engine) == [(findings[0], "queued"), (findings[1], "queued")]


def test_the_ticked_ones_are_taken_and_no_others(
    at_manager: Visitor, findings: list[int], owner_engine: Engine
) -> None:
    first, _, third = findings
    page = at_manager.page(f"/bulk-actions/new?kind=retry&scope=ticked&id={first}&id={third}")
    assert "Retry: 2 findings" in words(page)
    form = {**fields(page), "id": [str(first), str(third)]}
    assert at_manager.client.post("/bulk-actions", data=form).status_code == 303
    assert [each for each, _ in items(owner_engine)] == [first, third]


def test_nothing_ticked_is_said(at_manager: Visitor, findings: list[int]) -> None:
    response = at_manager.get("/bulk-actions/new?kind=retry&scope=ticked&type=data_mismatch")
    assert (response.status_code, response.location) == (303, "/reviews?type=data_mismatch")
    assert "Tick at least one finding" in at_manager.page("/reviews")


def test_a_dismissal_of_many_wants_one_reason(
    at_manager: Visitor, findings: list[int], owner_engine: Engine
) -> None:
    form = fields(at_manager.page("/bulk-actions/new?kind=dismiss&scope=matching"))
    refused = at_manager.post("/bulk-actions", {**form, "reason": " "})
    assert (refused.status_code, "Give a reason" in refused.text) == (422, True)
    assert items(owner_engine) == []
    assert at_manager.post("/bulk-actions", {**form, "reason": "Old"}).status_code == 303
    assert len(items(owner_engine)) == 3


@pytest.mark.parametrize("broken", ["kind", "shown_at"])
def test_a_form_that_was_tampered_with_starts_nothing(
    at_manager: Visitor, findings: list[int], owner_engine: Engine, broken: str
) -> None:
    form = fields(at_manager.page("/bulk-actions/new?kind=retry&scope=matching"))
    assert at_manager.post("/bulk-actions", {**form, broken: "x"}).status_code in (400, 404)
    assert items(owner_engine) == []


def test_what_was_settled_between_preview_and_click_is_said(
    at_manager: Visitor, findings: list[int], owner_engine: Engine
) -> None:
    form = fields(at_manager.page("/bulk-actions/new?kind=retry&scope=matching"))
    with owner_engine.begin() as connection:
        connection.execute(
            text("UPDATE discrepancies SET resolution = 'by_itself', resolved_at = now()")
        )
    assert at_manager.post("/bulk-actions", form).location == "/reviews"
    assert "everything has been settled meanwhile" in at_manager.page("/reviews")
    assert items(owner_engine) == []


def test_a_strangers_ids_in_a_selection_are_404(
    at_stranger: Visitor, findings: list[int], owner_engine: Engine
) -> None:
    address = f"/bulk-actions/new?kind=retry&scope=ticked&id={findings[0]}"
    assert at_stranger.get(address).status_code == 404
    form = {
        "kind": "retry",
        "scope": "ticked",
        "shown_at": clock.now().isoformat(),
        "id": str(findings[0]),
    }
    assert at_stranger.post("/bulk-actions", form).status_code == 404
    assert at_stranger.get("/bulk-actions/new?kind=retry&scope=ticked&id=x").status_code == 404
    everything = at_stranger.page("/bulk-actions/new?kind=retry&scope=matching")
    assert "There is nothing to do" in everything
    assert items(owner_engine) == []


def test_progress_is_shown_without_script_and_watched_with_it(
    at_staff: Visitor, make: Make, manager: Person, findings: list[int], owner_engine: Engine
) -> None:
    bulk = make(make_bulk_action, manager, findings)
    with owner_engine.begin() as connection:
        connection.execute(
            text("UPDATE bulk_items SET status = 'settled', finished_at = now() WHERE id = 1")
        )
    page = at_staff.page(f"/bulk-actions/{bulk}")
    [bar] = bars(page)
    assert (bar.attributes["value"], bar.attributes["max"]) == ("1", "3")
    address = f"/bulk-actions/{bulk}/progress?poll="
    progress = by_id(at_staff.get(address, htmx=True).text, "progress")
    assert progress is not None
    assert progress.attributes["hx-trigger"] == "every 2s"
    assert "1 of 3 have an outcome" in words(progress.text)
    assert "/cancellation" not in page, "staff may watch, not stop"
    with owner_engine.begin() as connection:
        connection.execute(text("UPDATE bulk_actions SET status = 'done', finished_at = now()"))
    ended = by_id(at_staff.get(address, htmx=True).text, "progress")
    assert ended is not None
    assert "hx-trigger" not in ended.attributes


def test_at_the_end_the_outcomes_come_along(
    at_staff: Visitor, make: Make, manager: Person, findings: list[int], owner_engine: Engine
) -> None:
    """The page below the bar shows them as they were when it was opened."""
    bulk = make(make_bulk_action, manager, findings)
    page = at_staff.page(f"/bulk-actions/{bulk}?status=queued")
    bar = by_id(page, "progress")
    assert bar is not None
    address = bar.attributes["hx-get"]
    assert by_id(at_staff.get(address, htmx=True).text, "outcomes") is None
    with owner_engine.begin() as connection:
        connection.execute(text("UPDATE bulk_actions SET status = 'done', finished_at = now()"))
        connection.execute(
            text("UPDATE bulk_items SET status = 'settled', finished_at = now() WHERE id = 1")
        )
    outcomes = by_id(at_staff.get(address, htmx=True).text, "outcomes")
    assert outcomes is not None
    assert outcomes.attributes["hx-swap-oob"] == "true"
    assert words(outcomes.text).count("Waiting") == 2, "what stands where the page asked for"


def test_what_was_chosen_why_and_by_whom_is_said(
    at_manager: Visitor, findings: list[int], make: Make, company: Tenant, manager: Person
) -> None:
    queue = f"type=data_mismatch&service={company.service_id}&age=1&text=Erika"
    clock.advance(timedelta(hours=2))
    form = fields(at_manager.page(f"/bulk-actions/new?kind=dismiss&scope=matching&{queue}"))
    at_manager.post("/bulk-actions", {**form, "reason": "Moved house"})
    page = words(at_manager.page("/bulk-actions/1"))
    chosen = "What is wrong: The two sides differ · Service: Consultation · Open for: over 1 hour"
    assert f"{chosen} · a search for a customer" in page
    assert "Erika" not in page, "whose name was looked for isn't kept"
    assert "Moved house" in page
    assert "Manager of sonnenschein" in page
    for scope, said in (
        ({"ticked": 2}, "2 ticked one by one"),
        ({"filters": {}}, "The whole queue"),
        ({"filters": {"type": "no_longer", "service": "999", "gone": "x"}}, "Service: #999"),
        ({"filters": {"from": "2031-01-07", "sync": "state:failed"}}, "From: Jan 7, 2031 · Sync:"),
    ):
        bulk = make(make_bulk_action, manager, findings[:1], scope=scope)
        assert said in words(at_manager.page(f"/bulk-actions/{bulk}"))


def test_stopping_leaves_what_has_begun(
    at_manager: Visitor, make: Make, manager: Person, findings: list[int], owner_engine: Engine
) -> None:
    bulk = make(make_bulk_action, manager, findings)
    with owner_engine.begin() as connection:
        connection.execute(text("UPDATE bulk_items SET status = 'started' WHERE id = 1"))
    answer = at_manager.post(f"/bulk-actions/{bulk}/cancellation", htmx=True).text
    assert "what has begun is seen through" in answer
    assert [status for _, status in items(owner_engine)] == ["started", "cancelled", "cancelled"]
    assert at_manager.post(f"/bulk-actions/{bulk}/cancellation").status_code == 303


def test_outcomes_are_listed_narrowed_and_downloaded(
    at_manager: Visitor, make: Make, manager: Person, findings: list[int], owner_engine: Engine
) -> None:
    bulk = make(make_bulk_action, manager, findings)
    end = text("UPDATE bulk_items SET status = :s, outcome = :o, finished_at = now() WHERE id = :i")
    with owner_engine.begin() as connection:
        for number, status, outcome in (
            (1, "settled", "took_remote"),
            (2, "still_open", "TIMEOUT"),
            (3, "refused", "no_right"),
        ):
            connection.execute(end, {"i": number, "s": status, "o": outcome})
    page = words(at_manager.page(f"/bulk-actions/{bulk}"))
    assert "Settled by taking Cal.com&#39;s version." in page
    assert "Cal.com did not answer in time" in page
    assert "Whoever started this may no longer settle findings." in page
    narrowed = at_manager.page(f"/bulk-actions/{bulk}?status=still_open")
    assert len(find(narrowed, "tr")) == 2
    file = at_manager.get(f"/bulk-actions/{bulk}/outcomes").data.decode("utf-8-sig")
    _, *rows = csv.reader(io.StringIO(file))
    assert [row[3] for row in rows] == ["Settled", "Still requires review", "Not begun"]
    assert "Erika" not in file


def test_bulk_actions_are_listed_newest_first(
    at_staff: Visitor, make: Make, manager: Person, findings: list[int]
) -> None:
    make(make_bulk_action, manager, findings[:1])
    later = clock.now() + timedelta(minutes=1)
    make(make_bulk_action, manager, findings[1:], Action.DISMISS, created_at=later)
    page = words(at_staff.page("/bulk-actions"))
    assert page.index("Dismiss many") < page.index("Retry many")


def test_the_pages_cost_the_same_for_one_item_and_for_many(
    app: Flask, at_staff: Visitor, make: Make, company: Tenant, manager: Person, findings: list[int]
) -> None:
    small = make(make_bulk_action, manager, findings[:1])
    with count_statements(app) as few:
        at_staff.page(f"/bulk-actions/{small}")
        at_staff.page("/bulk-actions")
    more = [make(make_discrepancy, company) for _ in range(9)]
    big = make(make_bulk_action, manager, [*findings, *more])
    with count_statements(app) as many:
        at_staff.page(f"/bulk-actions/{big}")
        at_staff.page("/bulk-actions")
    assert len(many) == len(few)


def test_the_inbox_leads_to_it_with_its_figures(
    at_manager: Visitor, make: Make, manager: Person, findings: list[int]
) -> None:
    bulk = make(make_bulk_action, manager, findings)
    parameters = {"bulk_id": bulk, "kind": "retry", "counts": {"settled": 2, "still_open": 1}}
    make(
        make_notification,
        manager,
        type=NotificationType.BULK_FINISHED,
        subject=f"bulk:{bulk}",
        parameters=parameters,
    )
    page = at_manager.page("/notifications")
    assert "Retry many: Settled 2, Still requires review 1" in page
    assert find(page, "a", href=f"/bulk-actions/{bulk}")
