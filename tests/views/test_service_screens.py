"""Services at the desk: made, edited, synchronised, and made of what is on Cal.com already."""

from collections.abc import Callable

import pytest
from flask import Flask

from tests.desk import Desk
from tests.factories import PASSWORD, make_person, make_service
from tests.views.conftest import Visitor
from tests.views.markup import by_id, find, said_in
from webapp.extensions import db
from webapp.models.service import Service, ServiceSync
from webapp.models.tenancy import as_company
from webapp.models.user import Role
from webapp.sandbox.server import RunningSandbox

FORM = {
    "name": "Massage",
    "duration": "50",
    "buffer_before": "5",
    "buffer_after": "10",
    "price": "49,90",
    "currency": "eur",
    "is_offered": "y",
    "event_type_id": "",
}


@pytest.fixture
def desk(app: Flask, sandbox: RunningSandbox) -> Desk:
    with app.app_context():
        return Desk(sandbox)


@pytest.fixture
def seat(app: Flask, desk: Desk) -> Callable[[Role], Visitor]:
    """Somebody of that company at a browser."""

    def sit(role: Role) -> Visitor:
        with app.app_context():
            person = make_person(desk.company, role)
        visitor = Visitor(app)
        visitor.log_in(person, PASSWORD)
        return visitor

    return sit


@pytest.fixture
def at_desk(seat: Callable[[Role], Visitor]) -> Visitor:
    return seat(Role.MANAGER)


@pytest.fixture
def rows(app: Flask, desk: Desk) -> Callable[[], dict[str, Service]]:
    def read() -> dict[str, Service]:
        with app.app_context(), as_company(desk.company.id):
            found = db.session.query(Service).all()
            for row in found:
                db.session.expunge(row)
            return {row.name: row for row in found}

    return read


def make_event_type(desk: Desk, title: str, **more: object) -> int:
    made = desk.cal.put(
        "event-types",
        {
            "account": f"{desk.company.slug}@cal.test",
            "title": title,
            "slug": title.lower(),
            "lengthInMinutes": 45,
            **more,
        },
    )
    return int(made["id"])


def test_a_service_is_made_and_its_event_type_checked(
    at_desk: Visitor, desk: Desk, rows: Callable[[], dict[str, Service]]
) -> None:
    event_type_id = make_event_type(desk, "Massage")
    answer = at_desk.post("/services", {**FORM, "event_type_id": str(event_type_id)})
    assert answer.status_code == 303
    row = rows()["Massage"]
    assert (row.duration_minutes, row.buffer_before_minutes, row.buffer_after_minutes) == (
        50,
        5,
        10,
    )
    assert (row.price_cents, row.currency) == (4990, "EUR")
    assert row.calcom_event_type_id == event_type_id
    page = said_in(at_desk.page(answer.location))
    assert "Duration 50 minutes 45 minutes" in page
    assert "€49.90" in page


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": " "}, "This is needed."),
        ({"duration": "0"}, "Enter a whole number from 1 to 1440."),
        ({"duration": "half"}, "Enter a whole number from 1 to 1440."),
        ({"buffer_before": "-5"}, "Enter a whole number from 0 to 1440."),
        ({"price": "much"}, "This is not a price."),
        ({"currency": "€"}, "A currency has three letters."),
        ({"event_type_id": "consultation"}, "Enter a whole number"),
        ({"event_type_id": "987654"}, "has no event type with this ID"),
    ],
)
def test_what_cannot_be_saved_is_said_beside_its_field_and_nothing_typed_is_lost(
    at_desk: Visitor,
    rows: Callable[[], dict[str, Service]],
    change: dict[str, str],
    said: str,
) -> None:
    answer = at_desk.post("/services", {**FORM, **change})
    assert answer.status_code == 422
    [field] = change
    described = by_id(answer.text, f"{field}-help")
    assert described is not None
    assert said in described.text
    assert find(answer.text, "input", name="buffer_after", value="10")
    assert "Massage" not in rows()


def test_an_event_type_of_somebody_else_is_refused(
    at_desk: Visitor, desk: Desk, rows: Callable[[], dict[str, Service]]
) -> None:
    other = desk.cal.put("accounts", {"email": "other@cal.test", "key": "cal_other"})
    made = desk.cal.put(
        "event-types",
        {"account": other["id"], "title": "Theirs", "slug": "theirs", "lengthInMinutes": 30},
    )
    answer = at_desk.post("/services", {**FORM, "event_type_id": str(made["id"])})
    assert answer.status_code == 422
    assert "belongs to another Cal.com account" in answer.text


def test_an_event_type_has_one_service(at_desk: Visitor, desk: Desk) -> None:
    taken = str(desk.company.event_type_id)
    answer = at_desk.post("/services", {**FORM, "event_type_id": taken})
    assert answer.status_code == 422
    assert "Another service of yours" in answer.text


def test_while_cal_com_is_away_the_form_says_so_and_keeps_what_was_typed(
    at_desk: Visitor, desk: Desk, rows: Callable[[], dict[str, Service]]
) -> None:
    event_type_id = make_event_type(desk, "Massage")
    desk.cal.fail({"kind": "status", "status": 503})
    answer = at_desk.post("/services", {**FORM, "event_type_id": str(event_type_id)})
    assert answer.status_code == 422
    assert "answered with an error of its own" in answer.text
    assert find(answer.text, "input", name="name", value="Massage")


def test_editing_without_another_event_type_asks_nobody(
    at_desk: Visitor, desk: Desk, rows: Callable[[], dict[str, Service]]
) -> None:
    path = f"/services/{desk.company.service_id}"
    assert find(at_desk.page(f"{path}/edit"), "input", name="name", value="Consultation")
    form = {**FORM, "event_type_id": str(desk.company.event_type_id)}
    form.pop("is_offered")
    answer = at_desk.post(path, form)
    assert answer.status_code == 303
    assert not rows()["Massage"].is_offered
    assert desk.cal.operations() == []


def test_the_button_is_there_only_with_an_event_type(
    app: Flask, at_desk: Visitor, seat: Callable[[Role], Visitor], desk: Desk
) -> None:
    with app.app_context():
        bare = make_service(desk.company)
    path = f"/services/{desk.company.service_id}"
    assert "Cal.com Sync" in at_desk.page(path)
    assert "Cal.com Sync" not in at_desk.page(f"/services/{bare}")
    assert "Cal.com Sync" not in seat(Role.STAFF).page(path)
    refused = at_desk.get(f"/services/{bare}/syncs")
    assert refused.status_code == 422
    assert "This service has no Cal.com event type ID" in refused.text
    at_desk.post(f"/services/{bare}/syncs")
    assert "This service has no Cal.com event type ID" in at_desk.page(f"/services/{bare}")


def test_the_dialog_says_what_is_written(at_desk: Visitor, desk: Desk) -> None:
    path = f"/services/{desk.company.service_id}/syncs"
    for html in (at_desk.get(path, htmx=True).text, at_desk.page(path)):
        said = said_in(html)
        assert "Synchronise this service with Cal.com?" in said
        assert f"Event type ID {desk.company.event_type_id}" in said
        assert "Duration 30 minutes Buffer before 0 minutes Buffer after 0 minutes" in said
        assert "Price €0.00" in said


def test_synchronising_is_started_once_and_watched(
    app: Flask, at_desk: Visitor, desk: Desk, rows: Callable[[], dict[str, Service]]
) -> None:
    path = f"/services/{desk.company.service_id}"
    at_desk.post(f"{path}/syncs")
    page = at_desk.page(path)
    assert "Synchronisation started" in page
    [part] = find(page, "div", id="service-sync")
    assert "every" in part.attributes["hx-trigger"]
    at_desk.post(f"{path}/syncs")
    assert "Synchronisation is already running" in at_desk.page(path)
    with app.app_context():
        desk.work()
    assert rows()["Consultation"].sync_status is ServiceSync.SYNCED
    settled = at_desk.get(f"{path}/sync?poll=", htmx=True).text
    assert "Where the two differ" in settled, "what still differs comes along"
    assert "hx-trigger" not in settled


def test_in_german_it_speaks_the_companys_said_in(at_desk: Visitor, desk: Desk) -> None:
    at_desk.post("/profile/language", {"language": "de"})
    path = f"/services/{desk.company.service_id}"
    assert "Cal.com Sync" in at_desk.page(path)
    assert "Jetzt synchronisieren" in at_desk.page(f"{path}/syncs")
    at_desk.post(f"{path}/syncs")
    assert "Synchronisation gestartet" in at_desk.page(path)
    at_desk.post(f"{path}/syncs")
    assert "Synchronisation läuft bereits" in at_desk.page(path)


def test_drift_is_shown_and_taken_field_by_field(
    app: Flask, at_desk: Visitor, desk: Desk, rows: Callable[[], dict[str, Service]]
) -> None:
    make_event_type(
        desk, "Advice", id=desk.company.event_type_id, slug="consultation", beforeEventBuffer=10
    )
    at_desk.post("/services/comparisons")
    with app.app_context():
        desk.work()
    path = f"/services/{desk.company.service_id}"
    page = said_in(at_desk.page(path))
    assert "Name Consultation Advice" in page
    assert "Push ours to Cal.com" in page
    at_desk.post(f"{path}/takeovers", {"field": "name"})
    row = rows()["Advice"]
    assert row.duration_minutes == 30
    at_desk.post(f"{path}/takeovers")
    row = rows()["Advice"]
    assert (row.duration_minutes, row.buffer_before_minutes) == (45, 10)
    assert row.drifts_since is None
    at_desk.post(f"{path}/takeovers")
    assert "no longer differs" in at_desk.page(path)


def test_services_are_made_of_event_types_and_used_ones_are_marked(
    at_desk: Visitor, desk: Desk, rows: Callable[[], dict[str, Service]]
) -> None:
    fresh = make_event_type(desk, "Massage", beforeEventBuffer=15)
    page = at_desk.page("/services/event-types")
    [used] = find(page, "input", name="event_type", value=str(desk.company.event_type_id))
    assert "disabled" in used.attributes
    assert "Used already: Consultation" in said_in(page)
    forged = [str(fresh), str(desk.company.event_type_id), "424242"]
    answer = at_desk.client.post("/services/event-types", data={"event_type": forged})
    assert answer.status_code == 303
    assert set(rows()) == {"Consultation", "Massage"}
    row = rows()["Massage"]
    assert (row.duration_minutes, row.buffer_before_minutes) == (45, 15)
    assert row.calcom_event_type_id == fresh


def test_without_cal_com_the_list_of_event_types_says_why(at_desk: Visitor, desk: Desk) -> None:
    desk.cal.fail({"kind": "status", "status": 503})
    assert "Cal.com could not be asked" in at_desk.page("/services/event-types")


def test_staff_see_services_and_change_nothing(seat: Callable[[Role], Visitor], desk: Desk) -> None:
    at_staff = seat(Role.STAFF)
    path = f"/services/{desk.company.service_id}"
    page = at_staff.page(path)
    assert f"{path}/edit" not in page
    for address in ("/services", path, f"{path}/syncs", f"{path}/takeovers"):
        assert at_staff.post(address, FORM).status_code == 403
