"""A day at the desk in a browser, on the running demo: what comes by telephone, at the desk and on
Cal.com; what fell out of step is settled each way; what staff may not do, and who is logged out."""

import json
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.end_to_end.conftest import RunningDemo
from tests.end_to_end.person import Person, within
from tests.end_to_end.test_main_job import bookings_of, far_ahead, is_synced
from webapp.demo.cast import SONNENSCHEIN
from webapp.views.phone.signatures import HEADER, sign

pytestmark = [
    pytest.mark.browser,
    pytest.mark.long,
    pytest.mark.processes,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("real processes"),
]

GRACE_SECONDS = 1.5
"""The demo's grace period after a write."""

Enter = Callable[[str], Page]


@pytest.fixture
def enter(demo: RunningDemo, browser: Browser) -> Iterator[Enter]:
    """Log in by name, each in a browser of their own."""
    contexts: list[BrowserContext] = []

    def enter(name: str) -> Page:
        context = browser.new_context(base_url=demo.url, locale="de-DE")
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.goto("/login")
        page.get_by_label("E-Mail").fill(f"{name}@sonnenschein.test")
        page.get_by_label("Passwort").fill("lockstep-demo")
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Übersicht").wait_for()
        return page

    yield enter
    for context in contexts:
        context.close()


def call(demo: RunningDemo, function: str, **args: str) -> dict[str, object]:
    """What the voice agent's function answers, signed as Retell signs."""
    about = {"call_id": f"call_day_{CALL}", "from_number": "+4915199887766"}
    raw = json.dumps({"name": function, "args": args, "call": about}).encode()
    answer = httpx.post(
        f"{demo.url}/webhooks/retell/{SONNENSCHEIN.phone_token}",
        content=raw,
        headers={HEADER: sign(raw, SONNENSCHEIN.retell_key, datetime.now(UTC))},
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


CALL = time.time_ns()


def test_what_is_booked_by_telephone_is_moved_and_cancelled_at_the_desk(
    demo: RunningDemo, enter: Enter
) -> None:
    day = far_ahead(60)
    day += timedelta(days=(7 - day.weekday()) % 7)
    free = call(demo, "check_availability", service="Behandlung", date=f"{day:%Y-%m-%d}")
    first = free["slots"][0]["starts_at"]  # type: ignore[index]
    booked = call(
        demo, "book_appointment", service="Behandlung", start=first, customer_name="Ruth Rosen"
    )
    assert booked == call(
        demo, "book_appointment", service="Behandlung", start=first, customer_name="Ruth Rosen"
    ), "however often it is repeated"

    page = enter("admin")
    page.goto("/appointments?text=ruth%20rosen&period=all")
    page.get_by_role("link", name="Ruth Rosen").first.click()
    page.locator("#sync").get_by_text("Synchronisiert").first.wait_for()
    expect(page.locator("dl.facts").first).to_contain_text("Telefon")

    page.get_by_role("link", name="Verschieben").click()
    dialog = page.get_by_role("dialog")
    dialog.locator("[name=time]").fill("16:30")
    dialog.get_by_role("button", name="Verschieben").click()
    expect(page.get_by_text("16:30 – 17:00")).to_be_visible()
    page.locator("#sync").get_by_text("Synchronisiert").first.wait_for()

    page.get_by_role("link", name="Stornieren").click()
    dialog.locator("[name=reason]").fill("Krank")
    dialog.get_by_role("button", name="Stornieren").click()
    number = int(page.url.rpartition("/")[2])
    assert within(20, lambda: demo.appointment(number)[:2] == ("synced", "cancelled"))


def test_what_is_booked_on_calcom_appears_at_the_desk(demo: RunningDemo, enter: Enter) -> None:
    email = f"dort{time.time_ns()}@example.org"
    [event_type] = demo.ask(
        "SELECT calcom_event_type_id FROM services WHERE company_id = 1 AND name = 'Behandlung'"
    )
    demo.cal.book(
        eventTypeId=event_type,
        start=far_ahead(70).astimezone(UTC).isoformat(),
        attendee={"name": "Dora Dortmann", "email": email, "timeZone": "Europe/Berlin"},
    )
    assert within(
        20, lambda: demo.ask("SELECT count(*) FROM customers WHERE email = %s", email)[0] == 1
    )
    page = enter("manager")
    page.goto("/appointments?text=dora&period=all")
    page.get_by_role("link", name="Dora Dortmann").first.click()
    expect(page.locator("#sync")).to_contain_text("Synchronisiert")


@pytest.mark.parametrize(
    ("button", "outcome", "is_moved", "asks"),
    [
        ("Stand von Cal.com übernehmen", "Synchronisation erfolgreich", True, False),
        ("Unseren Stand behalten", "Synchronisation erfolgreich", False, True),
        ("Verwerfen", "Verworfen", False, True),
    ],
)
def test_a_mismatch_is_settled_each_way(
    demo: RunningDemo, enter: Enter, button: str, outcome: str, is_moved: bool, asks: bool
) -> None:
    """It `asks` where a customer would be mailed or a reason is wanted."""
    email = f"uneins{time.time_ns()}@example.org"
    desk = Person(demo.url, "admin@sonnenschein.test")
    at = far_ahead(80, hour=9 + len(button) % 5)
    number = desk.book(at, email=email)
    assert within(20, lambda: is_synced(demo, number)), demo.appointment(number)
    [booking] = bookings_of(demo, email)
    moved = at.astimezone(UTC) + timedelta(hours=24)
    same = {name: booking[name] for name in ("eventTypeId", "uid", "metadata")}
    demo.cal.book(bookings=[{**same, "start": moved.isoformat()}])  # without a webhook
    time.sleep(GRACE_SECONDS)
    desk.press(f"/appointments/{number}/verifications", on=f"/appointments/{number}")
    assert within(20, lambda: demo.appointment(number)[0] == "failed"), demo.appointment(number)

    page = enter("admin")
    page.goto(f"/reviews?text=%23{number}")
    row = page.locator("tr[id^=review-]", has_text=f"#{number}")
    row.get_by_role("link" if asks else "button", name=button).click()
    if asks:
        dialog = page.get_by_role("dialog")
        expect(dialog).to_be_visible()
        if button == "Verwerfen":
            dialog.locator("[name=reason]").fill("Am Telefon geklärt")
        dialog.get_by_role("button", name=button).click()
    page.locator(".outcome", has_text=outcome).wait_for()
    [starts_at] = demo.ask("SELECT starts_at FROM appointments WHERE id = %s", number)
    assert (starts_at == moved) == is_moved


def test_staff_read_the_inbox_and_may_not_act(demo: RunningDemo, enter: Enter) -> None:
    page = enter("staff")
    expect(page.get_by_role("link", name="Neuer Termin")).to_have_count(0)
    page.get_by_role("link", name="Posteingang").click()
    page.get_by_role("heading", name="Posteingang", level=1).wait_for()
    page.get_by_role("link", name="Prüfliste", exact=True).click()
    expect(page.locator("tr[id^=review-]").first).to_be_visible()
    expect(page.locator("tr[id^=review-] button, tr[id^=review-] a.btn")).to_have_count(0)
    for forbidden in ("/appointments/new", "/settings"):
        answer = page.goto(forbidden)
        assert answer is not None
        assert answer.status == 403
        expect(page.get_by_role("heading", level=1)).to_have_text("Das dürfen Sie nicht")


def test_a_second_tab_that_was_logged_out_is_sent_to_the_login(enter: Enter) -> None:
    first = enter("admin")
    second = first.context.new_page()
    second.set_default_timeout(20_000)
    second.goto("/")
    first.goto("/profile")
    first.get_by_role("main").get_by_role("button", name="Abmelden").click()
    first.wait_for_url("**/login*")

    second.get_by_role("button", name="Jetzt alle abgleichen").click()
    second.wait_for_url(re.compile(r"/login"))
    expect(second.get_by_role("heading", level=1)).to_have_text("Anmelden")
    expect(second.locator("#verification, #cards")).to_have_count(0)


def test_who_did_not_come_is_marked(demo: RunningDemo, enter: Enter) -> None:
    [number] = demo.ask(
        "SELECT id FROM appointments WHERE company_id = 1 AND status = 'confirmed'"
        " AND calcom_sync_status = 'synced' AND ends_at < now() ORDER BY id LIMIT 1"
    )
    page = enter("manager")
    page.goto(f"/appointments/{number}")
    page.get_by_role("button", name="Als nicht erschienen markieren").click()
    expect(page.locator("main")).to_contain_text("Nicht erschienen")
    assert demo.ask("SELECT status FROM appointments WHERE id = %s", number) == ("no_show",)


def test_a_service_is_pushed_to_its_event_type(demo: RunningDemo, enter: Enter) -> None:
    number, event_type = demo.ask(
        "SELECT id, calcom_event_type_id FROM services WHERE company_id = 1"
        " AND name = 'Erstgespräch'"
    )
    before = patches(demo, event_type)
    page = enter("admin")
    page.goto(f"/services/{number}/edit")
    page.locator("[name=buffer_after]").fill("10")
    page.get_by_role("button", name="Speichern").click()
    page.wait_for_url(f"**/services/{number}")
    page.get_by_role("link", name="Cal.com Sync").click()
    page.get_by_role("dialog").get_by_role("button", name="Jetzt synchronisieren").click()
    state = page.locator("#service-sync").get_by_text("Synchronisiert", exact=True)
    state.wait_for()
    assert patches(demo, event_type) == before + 1
    assert demo.ask("SELECT sync_status FROM services WHERE id = %s", number) == ("synced",)


def patches(demo: RunningDemo, event_type: object) -> int:
    """How often an event type was written to."""
    calls = demo.cal.state(only="calls")["calls"]
    return sum(
        each["method"] == "PATCH" and each["path"].endswith(f"/event-types/{event_type}")
        for each in calls
    )
