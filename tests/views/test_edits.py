"""Editing an appointment and marking what came of it: what stays here, what Cal.com is told, and
that nobody is mailed without the reader having been told so."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from tests.factories import Tenant, make_appointment, make_service
from tests.views.conftest import Visitor
from tests.views.markup import by_id, find, words
from webapp import clock
from webapp.models.appointment import AppointmentStatus

Make = Callable[..., int]


@pytest.fixture
def booked(make: Make, company: Tenant) -> int:
    return make(make_appointment, company, notes="Bring the papers", calcom_v2_booking_id="uid1")


def fields(page: str) -> dict[str, str]:
    """What the form would send as it stands."""
    inputs = [each.attributes for each in find(page, "input") if "name" in each.attributes]
    form = {each["name"]: each.get("value", "") for each in inputs}
    for name in ("notes", "guests"):
        area = by_id(page, name)
        form[name] = area.text.strip() if area is not None else ""
    chosen = [each for each in find(page, "option") if "selected" in each.attributes]
    return form | ({"service": chosen[0].attributes["value"]} if chosen else {})


def row(owner_engine: Engine, appointment_id: int) -> Any:
    with owner_engine.connect() as connection:
        query = text("SELECT * FROM appointments WHERE id = :id")
        return connection.execute(query, {"id": appointment_id}).one()


def wishes(owner_engine: Engine) -> list[tuple[int, str]]:
    with owner_engine.connect() as connection:
        query = text("SELECT appointment_id, kind FROM intents ORDER BY id")
        return [(each[0], each[1]) for each in connection.execute(query)]


def test_notes_and_guests_are_saved_and_cal_com_hears_nothing(
    at_manager: Visitor, booked: int, owner_engine: Engine
) -> None:
    form = fields(at_manager.page(f"/appointments/{booked}/edits"))
    form |= {"notes": "By the back door", "guests": "Ben@example.org, eva@example.org"}
    response = at_manager.post(f"/appointments/{booked}/edits", form)
    assert response.location == f"/appointments/{booked}"
    saved = row(owner_engine, booked)
    assert (saved.notes, saved.guests) == (
        "By the back door",
        ["Ben@example.org", "eva@example.org"],
    )
    assert wishes(owner_engine) == []
    page = at_manager.page(f"/appointments/{booked}")
    assert "Notes changed." in page
    assert "Guests changed." in page


def test_saving_without_a_change_writes_nothing(
    at_manager: Visitor, booked: int, owner_engine: Engine
) -> None:
    form = fields(at_manager.page(f"/appointments/{booked}/edits"))
    at_manager.post(f"/appointments/{booked}/edits", form)
    page = at_manager.page(f"/appointments/{booked}")
    assert "Nothing was changed." in page
    assert "Edited" not in page
    assert wishes(owner_engine) == []


def test_another_time_is_asked_about_and_then_a_reschedule(
    at_manager: Visitor, booked: int, owner_engine: Engine
) -> None:
    old = row(owner_engine, booked).starts_at
    form = fields(at_manager.page(f"/appointments/{booked}/edits")) | {"time": "07:15"}
    asked = at_manager.post(f"/appointments/{booked}/edits", form)
    assert "Cal.com will mail Erika Beispiel about this." in words(asked.text)
    assert row(owner_engine, booked).starts_at == old
    assert wishes(owner_engine) == []
    assert at_manager.post(f"/appointments/{booked}/edits", fields(asked.text)).status_code == 303
    assert row(owner_engine, booked).starts_at != old
    assert wishes(owner_engine) == [(booked, "reschedule")]


def test_another_service_is_cancelled_and_booked_anew_and_says_that_it_mails_twice(
    at_manager: Visitor, booked: int, make: Make, company: Tenant, owner_engine: Engine
) -> None:
    other = make(make_service, company, name="Long talk", duration_minutes=90, event_type_id=77)
    form = fields(at_manager.page(f"/appointments/{booked}/edits")) | {"service": str(other)}
    asked = at_manager.post(f"/appointments/{booked}/edits", form)
    assert "Cal.com will mail Erika Beispiel twice" in words(asked.text)
    done = at_manager.post(f"/appointments/{booked}/edits", fields(asked.text))
    anew = int(done.location.rsplit("/", 1)[1])
    assert wishes(owner_engine) == [(booked, "cancel"), (anew, "create")]
    old, new = row(owner_engine, booked), row(owner_engine, anew)
    assert old.status == "cancelled"
    assert (new.service_id, new.notes) == (other, "Bring the papers")
    assert new.ends_at - new.starts_at == timedelta(minutes=90)


def test_a_confirmation_holds_for_what_was_asked_only(
    at_manager: Visitor, booked: int, make: Make, company: Tenant, owner_engine: Engine
) -> None:
    other = make(make_service, company, name="Long talk", event_type_id=77)
    form = fields(at_manager.page(f"/appointments/{booked}/edits")) | {"time": "07:15"}
    asked = fields(at_manager.post(f"/appointments/{booked}/edits", form).text)
    asked["service"] = str(other)
    again = at_manager.post(f"/appointments/{booked}/edits", asked)
    assert "twice" in again.text
    assert wishes(owner_engine) == []


def test_what_a_colleague_wrote_meanwhile_is_not_overwritten_unseen(
    at_manager: Visitor, booked: int, owner_engine: Engine
) -> None:
    mine = fields(at_manager.page(f"/appointments/{booked}/edits")) | {"notes": "Mine"}
    theirs = mine | {"notes": "Theirs"}
    at_manager.post(f"/appointments/{booked}/edits", theirs)
    refused = at_manager.post(f"/appointments/{booked}/edits", mine)
    assert refused.status_code == 409
    assert "Somebody changed this appointment" in words(refused.text)
    assert "Theirs" in words(refused.text)
    assert fields(refused.text)["notes"] == "Mine"
    assert row(owner_engine, booked).notes == "Theirs"
    at_manager.post(f"/appointments/{booked}/edits", fields(refused.text))
    assert row(owner_engine, booked).notes == "Mine"


def test_a_move_meanwhile_is_not_undone_by_editing_the_notes(
    at_manager: Visitor, booked: int, owner_engine: Engine
) -> None:
    mine = fields(at_manager.page(f"/appointments/{booked}/edits")) | {"notes": "Mine"}
    with owner_engine.begin() as connection:
        moved = "UPDATE appointments SET starts_at = starts_at + interval '1 day',"
        moved += " ends_at = ends_at + interval '1 day'"
        connection.execute(text(moved))
    refused = at_manager.post(f"/appointments/{booked}/edits", mine | {"confirmed": "reschedules"})
    assert refused.status_code == 409
    assert wishes(owner_engine) == []


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"guests": "nobody"}, "One of these is not an e-mail address."),
        ({"time": "25:00"}, "This is not a time."),
        ({"service": ""}, "Choose a service."),
    ],
)
def test_what_is_wrong_is_said_and_nothing_typed_is_lost(
    at_manager: Visitor, booked: int, typed: dict[str, str], said: str
) -> None:
    form = fields(at_manager.page(f"/appointments/{booked}/edits"))
    form |= {"notes": "Half written", **typed}
    response = at_manager.post(f"/appointments/{booked}/edits", form)
    assert response.status_code == 422
    assert said in response.text
    assert "Half written" in response.text


def test_a_past_time_is_refused(at_manager: Visitor, booked: int, owner_engine: Engine) -> None:
    form = fields(at_manager.page(f"/appointments/{booked}/edits"))
    form |= {"day": "2020-01-02", "confirmed": "reschedules"}
    response = at_manager.post(f"/appointments/{booked}/edits", form)
    assert response.status_code == 422
    assert "This time has passed." in response.text
    assert wishes(owner_engine) == []


def test_of_what_is_over_notes_may_change_and_time_may_not(
    at_manager: Visitor, make: Make, company: Tenant, owner_engine: Engine
) -> None:
    over = make(make_appointment, company, starts_at=clock.now() - timedelta(days=1))
    old = row(owner_engine, over).starts_at
    form = fields(at_manager.page(f"/appointments/{over}/edits"))
    assert "time" not in form
    other = make(make_service, company, event_type_id=4711)
    form |= {"notes": "Came late", "day": "2031-01-01", "time": "10:00", "service": str(other)}
    assert at_manager.post(f"/appointments/{over}/edits", form).status_code == 303
    saved = row(owner_engine, over)
    assert (saved.notes, saved.starts_at) == ("Came late", old)
    assert saved.service_id == company.service_id


@pytest.mark.parametrize(("mark", "label"), [("completed", "Completed"), ("no_show", "No-show")])
def test_what_came_of_it_is_marked_and_stays_ours(
    at_manager: Visitor, make: Make, company: Tenant, owner_engine: Engine, mark: str, label: str
) -> None:
    over = make(make_appointment, company, starts_at=clock.now() - timedelta(hours=2))
    at_manager.post(f"/appointments/{over}/markings", {"mark": mark})
    assert row(owner_engine, over).status == mark
    assert wishes(owner_engine) == []
    page = at_manager.page(f"/appointments/{over}")
    assert "Nobody is mailed." in page
    assert f"As: {label}. Before: Confirmed." in page


def test_a_mark_can_be_changed(
    at_manager: Visitor, make: Make, company: Tenant, owner_engine: Engine
) -> None:
    over = make(
        make_appointment,
        company,
        starts_at=clock.now() - timedelta(hours=2),
        status=AppointmentStatus.COMPLETED,
    )
    page = at_manager.page(f"/appointments/{over}")
    assert [each.attributes["value"] for each in find(page, "button", name="mark")] == ["no_show"]
    at_manager.post(f"/appointments/{over}/markings", {"mark": "no_show"})
    assert row(owner_engine, over).status == "no_show"


@pytest.mark.parametrize(
    ("hours", "status", "why"),
    [
        (3, AppointmentStatus.CONFIRMED, "has not begun yet"),
        (-3, AppointmentStatus.CANCELLED, "is cancelled or over"),
        (-3, AppointmentStatus.PENDING, "awaits a confirmation"),
    ],
)
def test_what_cannot_be_marked_says_why(
    at_manager: Visitor,
    make: Make,
    company: Tenant,
    owner_engine: Engine,
    hours: int,
    status: AppointmentStatus,
    why: str,
) -> None:
    starts_at = clock.now() + timedelta(hours=hours)
    appointment = make(make_appointment, company, starts_at=starts_at, status=status)
    assert find(at_manager.page(f"/appointments/{appointment}"), "button", name="mark") == []
    at_manager.post(f"/appointments/{appointment}/markings", {"mark": "completed"})
    assert row(owner_engine, appointment).status == status.value
    assert why in at_manager.page(f"/appointments/{appointment}")


def test_staff_neither_edit_nor_mark(at_staff: Visitor, booked: int) -> None:
    page = at_staff.page(f"/appointments/{booked}")
    assert "/edits" not in page
    assert at_staff.get(f"/appointments/{booked}/edits").status_code == 403
    assert at_staff.post(f"/appointments/{booked}/markings", {"mark": "x"}).status_code == 403
