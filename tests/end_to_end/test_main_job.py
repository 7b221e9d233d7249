"""The main job, end to end on the running demo: booked, carried, moved, cancelled there, lost,
found, put right."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser

from tests.end_to_end.conftest import RunningDemo
from tests.end_to_end.person import BERLIN, Person, within

pytestmark = [
    pytest.mark.processes,
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("real processes"),
]


def far_ahead(days: int, hour: int = 10) -> datetime:
    """A time that the sample data leaves free."""
    day = datetime.now(BERLIN) + timedelta(days=40 + days)
    return day.replace(hour=hour, minute=0, second=0, microsecond=0)


@pytest.fixture(scope="module")
def admin(demo: RunningDemo) -> Person:
    return Person(demo.url, "admin@sonnenschein.test")


def mails_to(demo: RunningDemo, email: str) -> list[str]:
    mails = demo.cal.state(only="mails")["mails"]
    return [mail["kind"] for mail in mails if mail["to"] == email]


def bookings_of(demo: RunningDemo, email: str) -> list[dict[str, object]]:
    return [
        booking
        for booking in demo.cal.bookings()
        if any(attendee["email"] == email for attendee in booking["attendees"])
    ]


def is_synced(demo: RunningDemo, appointment_id: int) -> bool:
    return demo.appointment(appointment_id)[0] == "synced"


def test_the_sample_data_was_lived_through_the_engine(demo: RunningDemo) -> None:
    totals = demo.cal.state(only="totals")["totals"]
    [appointments] = demo.ask("SELECT count(*) FROM appointments WHERE company_id = 1")
    states = demo.ask(
        "SELECT array_agg(DISTINCT calcom_sync_status) FROM appointments WHERE company_id = 1"
    )

    assert totals["bookings.create"] >= 200
    assert int(str(appointments)) >= 280
    assert {"synced", "failed", "orphaned_local"} <= set(states[0])  # type: ignore[call-overload]


@pytest.mark.long
def test_the_doctor_finds_the_demo_sound(demo: RunningDemo) -> None:
    done = demo.command("doctor")
    assert done.returncode == 0, done.stdout
    assert done.stdout.endswith("sound\n")


def test_an_appointment_goes_all_the_way(demo: RunningDemo, admin: Person) -> None:
    email = f"e2e{time.time_ns()}@example.org"
    booked = admin.book(far_ahead(1), email=email)
    assert within(10, lambda: is_synced(demo, booked)), demo.appointment(booked)
    [booking] = bookings_of(demo, email)
    assert booking["uid"] == demo.appointment(booked)[2]
    assert mails_to(demo, email) == ["created"]

    admin.move(booked, far_ahead(2))
    assert within(10, lambda: demo.appointment(booked)[2] not in (booking["uid"], None))
    assert within(10, lambda: is_synced(demo, booked))
    assert mails_to(demo, email) == ["created", "rescheduled"]

    uid = str(demo.appointment(booked)[2])
    demo.cal.change(uid, "cancel", reason="Keine Zeit")
    assert within(10, lambda: demo.appointment(booked)[1] == "cancelled"), demo.deliveries(uid)
    paths = [call["path"] for call in demo.cal.state(only="calls")["calls"]]
    assert f"/v2/bookings/{uid}/cancel" not in paths, "what came from Cal.com is not pushed back"

    lost = admin.book(far_ahead(3), email=email)
    assert within(10, lambda: is_synced(demo, lost))
    time.sleep(1.5)  # the demo's grace period after a write
    with demo.between_runs():
        admin.press("/notifications/readings", on="/notifications")
        assert admin.badge() == 0
        demo.cal.vanish(str(demo.appointment(lost)[2]))
        admin.press(f"/appointments/{lost}/verifications", on=f"/appointments/{lost}")
        assert within(10, lambda: demo.appointment(lost)[0] == "orphaned_local")
        finding = admin.finding_of(lost)
        assert finding is not None
        assert admin.badge() == 1

        admin.press(f"/reviews/{finding}/pushes", on=f"/reviews/{finding}/pushes")
        assert within(10, lambda: is_synced(demo, lost))
        assert admin.finding_of(lost) is None
        assert admin.badge() == open_folds(demo), "a fold of many stays for the others in it"


def open_folds(demo: RunningDemo) -> int:
    """Where so many of the sample data's appointments are missing that one item stands for all."""
    [number] = demo.ask(
        "SELECT count(DISTINCT type) FROM notifications WHERE company_id = 1 AND closed_at IS NULL"
        " AND subject = 'many' AND type = 'orphaned_local'"
    )
    return int(str(number))


@pytest.mark.long
def test_a_lost_booking_put_back_on_calcom_is_found_by_a_retry(
    demo: RunningDemo, admin: Person
) -> None:
    email = f"retry{time.time_ns()}@example.org"
    lost = admin.book(far_ahead(4), email=email)
    assert within(10, lambda: is_synced(demo, lost))
    time.sleep(1.5)
    [booking] = bookings_of(demo, email)
    demo.cal.vanish(str(booking["uid"]))
    admin.press(f"/appointments/{lost}/verifications", on=f"/appointments/{lost}")
    assert within(10, lambda: demo.appointment(lost)[0] == "orphaned_local")

    demo.cal.book(
        eventTypeId=booking["eventTypeId"],
        start=booking["start"],
        attendee={"name": "Erika", "email": email, "timeZone": "Europe/Berlin"},
        metadata=booking["metadata"],
        silent=True,
    )
    finding = admin.finding_of(lost)
    admin.press(f"/reviews/{finding}/retries", on="/reviews")

    assert within(10, lambda: is_synced(demo, lost))
    assert admin.finding_of(lost) is None


@pytest.mark.long
def test_ten_creates_that_time_out_after_storing_are_ten_bookings_and_ten_mails(
    demo: RunningDemo, admin: Person
) -> None:
    email = f"ten{time.time_ns()}@example.org"
    demo.cal.fail({"kind": "timeout_after", "operation": "bookings.create", "times": 10})
    try:
        booked = [admin.book(far_ahead(5 + day), email=email) for day in range(10)]
        assert within(240, lambda: all(is_synced(demo, each) for each in booked))
    finally:
        demo.cal.heal()

    assert len(bookings_of(demo, email)) == 10
    assert mails_to(demo, email) == ["created"] * 10


def test_without_redis_the_page_answers_and_the_push_happens_when_it_is_back(
    demo: RunningDemo, admin: Person
) -> None:
    """Hung is worse than gone: a stopped process still takes connections."""
    [redis] = [each for each in demo.processes("redis-server") if "redis" in each.name()]
    redis.suspend()
    try:
        began = time.monotonic()
        booked = admin.book(far_ahead(16), email=f"redis{time.time_ns()}@example.org")
        answered = time.monotonic() - began
        time.sleep(1)
        assert demo.appointment(booked)[0] == "pending"
    finally:
        redis.resume()

    assert answered < 6, "three pages and a redirect, each without waiting for Redis"
    assert within(20, lambda: is_synced(demo, booked))


@pytest.mark.long
def test_a_killed_redis_loses_no_change(demo: RunningDemo, admin: Person) -> None:
    [redis] = [each for each in demo.processes("redis-server") if "redis" in each.name()]
    email = f"kill{time.time_ns()}@example.org"
    redis.kill()
    booked = [admin.book(far_ahead(17 + day), email=email) for day in range(3)]

    assert within(40, lambda: all(is_synced(demo, each) for each in booked))
    assert mails_to(demo, email) == ["created"] * 3


@pytest.mark.long
def test_killed_workers_lose_no_change_and_mail_nobody_twice(
    demo: RunningDemo, admin: Person
) -> None:
    email = f"worker{time.time_ns()}@example.org"
    demo.cal.fail({"kind": "latency", "operation": "bookings.create", "seconds": 1.0})
    try:
        booked = [admin.book(far_ahead(21 + day), email=email) for day in range(4)]
        for process in demo.processes("worker.py"):
            process.kill()
        assert within(60, lambda: all(is_synced(demo, each) for each in booked)), demo.changes(
            booked
        )
    finally:
        demo.cal.heal()
    assert mails_to(demo, email) == ["created"] * 4
    assert len(bookings_of(demo, email)) == 4


def test_a_stranger_gets_404_and_staff_may_not_act(demo: RunningDemo, admin: Person) -> None:
    booked = admin.book(far_ahead(30), email=f"stranger{time.time_ns()}@example.org")
    stranger = Person(demo.url, "admin@blau.test")
    staff = Person(demo.url, "staff@sonnenschein.test")

    assert stranger.status_of(f"/appointments/{booked}") == 404
    assert staff.status_of(f"/appointments/{booked}") == 200
    assert staff.status_of("/appointments/new") == 403


@pytest.mark.browser
def test_in_a_browser_an_orphan_is_found_and_put_right(demo: RunningDemo, browser: Browser) -> None:
    page = browser.new_page(base_url=demo.url, locale="de-DE")
    page.set_default_timeout(15_000)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto("/login")
    page.get_by_label("E-Mail").fill("admin@sonnenschein.test")
    page.get_by_label("Passwort").fill("lockstep-demo")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Übersicht").wait_for()

    page.goto("/appointments/new")
    page.locator("[name=name]").fill("Ein neuer Kunde")
    page.locator("[name=email]").fill(f"browser{time.time_ns()}@example.org")
    option = page.locator("[name=service] option", has_text="Behandlung").first
    page.locator("[name=service]").select_option(value=option.get_attribute("value"))
    at = far_ahead(31)
    page.locator("[name=day]").fill(f"{at:%Y-%m-%d}")
    page.locator("[name=time]").fill(f"{at:%H:%M}")
    page.get_by_role("button", name="Termin buchen").click()
    page.wait_for_url("**/appointments/*")
    page.locator("#sync").get_by_text("Synchronisiert").first.wait_for()

    booked = int(page.url.rstrip("/").rpartition("/")[2])
    time.sleep(1.5)
    demo.cal.vanish(str(demo.appointment(booked)[2]))
    page.locator(f"form[action='/appointments/{booked}/verifications'] button").click()
    page.locator("#sync").get_by_text("Fehlt in Cal.com").first.wait_for()

    page.goto(f"/reviews?text=%23{booked}")
    row = page.locator("tr[id^=review-]", has_text=f"#{booked}")
    row.get_by_role("button", name="Erneut versuchen").click()
    row.get_by_text("Abgeglichen: Prüfung weiterhin erforderlich").wait_for()
    assert complaints == []
    assert datetime.now(UTC) < at
    page.close()
