"""The list with its filters, one appointment with its sync and timeline, and asking for a look."""

from collections.abc import Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

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
from tests.views.markup import by_id, find, words
from webapp import clock
from webapp.extensions import db
from webapp.models.appointment import AppointmentStatus
from webapp.models.history import EventKind, record_event
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import as_company
from webapp.views.paging import PAGE_SIZE

Make = Callable[..., int]
BERLIN = ZoneInfo("Europe/Berlin")


def _shown(html: str) -> list[int]:
    """The ids of the rows of a list."""
    return [
        int(link.attributes["href"].rsplit("/", 1)[1])
        for link in find(html, "a", class_="row-link")
    ]


@pytest.fixture
def anna(make: Make, company: Tenant) -> int:
    return make(make_customer, company, "anna@example.org", name="Ännchen Straße", phone="+4930111")


def test_the_list_begins_today_and_the_past_is_a_click_away(
    at_staff: Visitor, make: Make, company: Tenant
) -> None:
    coming = make(make_appointment, company)
    gone = make(make_appointment, company, starts_at=clock.now() - timedelta(days=3))
    assert _shown(at_staff.page("/appointments")) == [coming]
    assert _shown(at_staff.page("/appointments?period=past")) == [gone]
    assert _shown(at_staff.page("/appointments?period=all")) == [gone, coming]


@pytest.mark.parametrize("typed", ["ännchen", "ÄNNCHEN STRASSE", "anna@EX", "+4930", "  ännch "])
def test_a_customer_is_found_by_the_beginning_of_name_email_or_phone(
    at_staff: Visitor, make: Make, company: Tenant, anna: int, typed: str
) -> None:
    make(make_appointment, company)
    hers = make(make_appointment, company, customer_id=anna)
    page = at_staff.client.get("/appointments", query_string={"text": typed}).text
    assert _shown(page) == [hers]


def test_an_appointment_is_found_by_its_number(
    at_staff: Visitor, make: Make, company: Tenant
) -> None:
    make(make_appointment, company)
    wanted = make(make_appointment, company)
    assert _shown(at_staff.page(f"/appointments?text=%23{wanted}")) == [wanted]
    assert _shown(at_staff.page(f"/appointments?text=%23{10**30}")) == []


def test_filters_narrow_by_status_service_and_single_state(
    at_staff: Visitor, make: Make, company: Tenant
) -> None:
    other = make(make_service, company, event_type_id=4711)
    make(make_appointment, company)
    cancelled = make(make_appointment, company, status=AppointmentStatus.CANCELLED)
    elsewhere = make(make_appointment, company, service_id=other)
    orphan = make(make_appointment, company, state=SyncState.ORPHANED_LOCAL)
    assert _shown(at_staff.page("/appointments?status=cancelled")) == [cancelled]
    assert _shown(at_staff.page(f"/appointments?service={other}")) == [elsewhere]
    assert _shown(at_staff.page("/appointments?sync=state:orphaned_local")) == [orphan]


def test_days_are_the_companys_days(at_staff: Visitor, make: Make, company: Tenant) -> None:
    """23:30 and 00:30 in Berlin are different days, though UTC says the same."""
    late = make(make_appointment, company, starts_at=datetime(2031, 1, 7, 23, 30, tzinfo=BERLIN))
    early = make(make_appointment, company, starts_at=datetime(2031, 1, 8, 0, 30, tzinfo=BERLIN))
    assert _shown(at_staff.page("/appointments?from=2031-01-07&to=2031-01-07")) == [late]
    assert _shown(at_staff.page("/appointments?from=2031-01-08")) == [early]


@pytest.mark.parametrize(
    "query", ["from=0001-01-01", "from=x&to=9999-12-31", "sync=x&status=y&period=z", "after=zzz"]
)
def test_filters_that_make_no_sense_filter_nothing(
    at_staff: Visitor, make: Make, company: Tenant, query: str
) -> None:
    wanted = make(make_appointment, company)
    assert _shown(at_staff.page(f"/appointments?{query}")) == [wanted]


@pytest.mark.parametrize("period", ["all", "past"])
def test_paging_shows_every_row_once(
    at_staff: Visitor, make: Make, company: Tenant, period: str
) -> None:
    """Many begin at the same instant: the id decides."""
    begin = clock.now() - timedelta(days=5)
    made = {
        make(make_appointment, company, starts_at=begin + timedelta(hours=number // 20))
        for number in range(PAGE_SIZE + 5)
    }
    page = at_staff.page(f"/appointments?period={period}")
    [onward] = find(page, "a", rel="next")
    rest = at_staff.page(onward.attributes["href"].replace("&amp;", "&"))
    shown = _shown(page) + _shown(rest)
    assert len(shown) == len(made)
    assert set(shown) == made
    assert not find(rest, "a", rel="next")


def test_the_list_costs_the_same_for_one_row_and_for_many(
    app: Flask, at_staff: Visitor, make: Make, company: Tenant, anna: int
) -> None:
    make(make_appointment, company)
    with count_statements(app) as few:
        at_staff.page("/appointments")
    for _ in range(5):
        make(make_appointment, company, customer_id=anna)
    with count_statements(app) as many:
        at_staff.page("/appointments")
    assert len(many) == len(few)


def test_the_detail_explains_what_is_wrong_and_what_to_do(
    at_staff: Visitor, make: Make, company: Tenant
) -> None:
    starts_at = datetime(2031, 1, 7, 10, 0, tzinfo=BERLIN)
    appointment_id = make(
        make_appointment, company, starts_at=starts_at, state=SyncState.FAILED, flagged=True
    )
    moved = (starts_at + timedelta(hours=2)).isoformat()
    fields = {"starts_at": {"ours": starts_at.isoformat(), "theirs": moved, "moved": "theirs"}}
    make(make_discrepancy, company, appointment_id, evidence={"fields": fields})
    page = words(at_staff.page(f"/appointments/{appointment_id}"))
    assert "Cal.com moved it to Tue 7 Jan 2031, 12:00; ours is unchanged" in page
    assert "Last agreed" in page
    assert "take Cal.com&#39;s version" in page


def test_the_timeline_tells_what_happened_and_who_did_it(
    app: Flask, at_staff: Visitor, make: Make, company: Tenant, admin: Person
) -> None:
    appointment_id = make(make_appointment, company)
    with app.app_context(), as_company(company.id):
        for kind in EventKind:
            record_event(db.session(), appointment_id, kind, at=clock.now(), user_id=admin.id)
        record_event(
            db.session(),
            appointment_id,
            EventKind.PUSHED,
            at=clock.now(),
            operation="create",
            mailed=True,
        )
        db.session.commit()
    page = at_staff.page(f"/appointments/{appointment_id}")
    told = [words(item.text) for item in find(page, "li", class_="feed-item")]
    assert len(told) == len(EventKind) + 1
    assert "Booking made. Cal.com mailed the customer." in told[0].replace("made.Cal", "made. Cal")
    assert "Admin of sonnenschein" in told[1]


def test_a_look_at_calcom_is_asked_for_and_watched(
    at_manager: Visitor, make: Make, company: Tenant, owner_engine: Engine
) -> None:
    appointment_id = make(make_appointment, company)
    fragment = at_manager.post(f"/appointments/{appointment_id}/verifications", htmx=True).text
    assert 'hx-trigger="every 2s"' in fragment
    _settle(owner_engine, appointment_id)
    settled = at_manager.get(f"/appointments/{appointment_id}/sync?poll", htmx=True).text
    assert "hx-trigger" not in settled


def test_without_script_a_look_ends_on_the_page(
    at_manager: Visitor, make: Make, company: Tenant
) -> None:
    appointment_id = make(make_appointment, company, state=SyncState.FAILED, flagged=True)
    response = at_manager.post(f"/appointments/{appointment_id}/retries")
    assert (response.status_code, response.location) == (303, f"/appointments/{appointment_id}")
    assert "Verifying now." in at_manager.page(response.location)


def test_what_is_in_step_has_nothing_to_retry_or_push(
    at_manager: Visitor, make: Make, company: Tenant
) -> None:
    appointment_id = make(make_appointment, company)
    at_manager.post(f"/appointments/{appointment_id}/retries")
    assert "nothing to retry" in at_manager.page(f"/appointments/{appointment_id}")
    at_manager.post(f"/appointments/{appointment_id}/pushes")
    assert "nothing to push" in at_manager.page(f"/appointments/{appointment_id}")


def test_pushing_again_asks_first_because_it_mails(
    at_manager: Visitor, make: Make, company: Tenant, owner_engine: Engine
) -> None:
    appointment_id = make(make_appointment, company, state=SyncState.ORPHANED_LOCAL, flagged=True)
    address = f"/appointments/{appointment_id}/pushes"
    assert "Cal.com will mail Erika Beispiel" in at_manager.page(address)
    dialog = at_manager.get(address, htmx=True).text
    assert (by_id(dialog, "confirmation") or pytest.fail("no form")).tag == "form"
    assert at_manager.post(address).status_code == 303
    with owner_engine.connect() as connection:
        kinds = connection.execute(text("SELECT kind FROM intents")).scalars().all()
    assert kinds == ["create"]


def _settle(owner_engine: Engine, appointment_id: int) -> None:
    with owner_engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE appointments SET calcom_sync_status = 'synced', sync_verified_at = now(),"
                " verification_requested_at = NULL, requires_manual_review = false,"
                " manual_review_flagged_at = NULL WHERE id = :id"
            ),
            {"id": appointment_id},
        )


def test_a_long_story_is_told_from_its_end_without_holes(
    app: Flask,
    at_staff: Visitor,
    company: Tenant,
    make: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("webapp.views.timeline_entries.MOST_OF_A_KIND", 3)
    number = make(make_appointment, company)
    with app.app_context(), as_company(company.id):
        for minutes in range(5):
            at = clock.now() + timedelta(minutes=minutes)
            kind = EventKind.VERIFIED if minutes else EventKind.BOOKED
            record_event(db.session(), number, kind, at=at)
        db.session.commit()
    page = at_staff.page(f"/appointments/{number}")
    assert "What is older is kept, and not shown here." in page
    assert len(find(page, "li", class_="feed-item")) == 3
