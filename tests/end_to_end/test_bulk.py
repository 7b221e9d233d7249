"""Two hundred mismatches, settled in bulk from a browser: stopped half way, then seen through past
a worker's kill -9. The counts add up each time."""

import re
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.end_to_end.conftest import RunningDemo
from tests.end_to_end.person import within

pytestmark = [
    pytest.mark.browser,
    pytest.mark.long,
    pytest.mark.processes,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("real processes"),
]

MANY = 200
RIGHTED = 150
NAME = "Massenhaft Abweichend"
FIRST = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(days=200)
"""Beyond what the other tests book: these take every hour of eight days."""


def tell_calcom(demo: RunningDemo, first: int, last: int, *, minutes_off: int) -> None:
    """Let these bookings stand there so far from our time, without any webhook."""
    [event_type] = demo.ask(
        "SELECT calcom_event_type_id FROM services WHERE company_id = 1 AND name = 'Behandlung'"
    )
    bookings = [
        {
            "eventTypeId": event_type,
            "uid": f"bulk{number:018}",
            "start": (FIRST + timedelta(hours=number, minutes=minutes_off)).isoformat(),
        }
        for number in range(first, last)
    ]
    demo.cal.book(bookings=bookings)


def make_appointments(demo: RunningDemo) -> None:
    """As many appointments that agreed with their bookings once."""
    demo.ask(
        """WITH customer AS (
             INSERT INTO customers (company_id, name, name_folded, email, email_folded, time_zone,
                                    language, created_at)
             VALUES (1, %s, lower(%s), 'massen@example.org', 'massen@example.org', 'Europe/Berlin',
                     'de', now()) RETURNING id),
           service AS (
             SELECT id, calcom_host FROM services WHERE company_id = 1 AND name = 'Behandlung'),
           made AS (
             INSERT INTO appointments (company_id, customer_id, service_id, starts_at, ends_at,
                    status, notes, guests, created_at, created_by_origin, calcom_v2_booking_id,
                    calcom_sync_status, sync_attempt_count,
                    verification_error_streak, sync_verified_at, requires_manual_review,
                    sync_origin, base_starts_at, base_ends_at, base_status, base_uid, sync_key)
             SELECT 1, customer.id, service.id, at, at + interval '30 minutes', 'confirmed', '',
                    '[]', now() - interval '1 day', 'admin', uid, 'synced', 0, 0,
                    now() - interval '1 day', false, 'admin', at, at + interval '30 minutes',
                    'confirmed', uid, gen_random_uuid()
               FROM customer, service, generate_series(0, %s - 1) i,
                    LATERAL (SELECT %s::timestamptz + i * interval '1 hour' AS at,
                                    'bulk' || lpad(i::text, 18, '0') AS uid) each
             RETURNING id, calcom_v2_booking_id)
           INSERT INTO booking_aliases (company_id, appointment_id, calcom_host, uid, first_seen_at)
           SELECT 1, made.id, service.calcom_host, made.calcom_v2_booking_id, now()
             FROM made, service RETURNING id""",
        NAME,
        NAME,
        MANY,
        FIRST,
    )


def open_findings(demo: RunningDemo) -> int:
    [number] = demo.ask(
        "SELECT count(*) FROM discrepancies d JOIN appointments a ON a.id = d.appointment_id"
        " JOIN customers c ON c.id = a.customer_id WHERE c.name = %s AND d.resolved_at IS NULL",
        NAME,
    )
    return int(str(number))


@pytest.fixture
def page(demo: RunningDemo, browser: Browser) -> Iterator[Page]:
    page = browser.new_page(base_url=demo.url, locale="de-DE")
    page.set_default_timeout(30_000)
    page.goto("/login")
    page.get_by_label("E-Mail").fill("admin@sonnenschein.test")
    page.get_by_label("Passwort").fill("lockstep-demo")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Übersicht").wait_for()
    yield page
    page.close()


def begin_bulk_retry(page: Page, expected: int) -> int:
    """Everything that the filter matches; returns the bulk action's number."""
    page.goto("/reviews?text=massenhaft")
    page.get_by_role("button", name="Für alle, die passen").click()
    expect(page.get_by_text(f"Erneut versuchen: {expected} Befunde")).to_be_visible()
    page.get_by_role("button", name=f"Für {expected} starten").click()
    page.wait_for_url(re.compile(r"/bulk-actions/\d+$"))
    return int(page.url.rpartition("/")[2])


def counts(page: Page) -> dict[str, int]:
    shown = page.locator("[data-count]").all()
    return {
        str(each.get_attribute("data-count")): int(each.inner_text().replace(".", ""))
        for each in shown
    }


def ended(page: Page) -> int:
    return int(page.locator("#progress progress").get_attribute("value") or 0)


def test_two_hundred_mismatches_are_retried_stopped_and_resumed(
    demo: RunningDemo, page: Page
) -> None:
    make_appointments(demo)
    tell_calcom(demo, 0, MANY, minutes_off=20)
    assert within(60, lambda: verify_all(demo, page)), demo.runs()
    assert within(180, lambda: open_findings(demo) == MANY), (open_findings(demo), demo.runs())
    with demo.between_runs():
        retry_stop_and_resume(demo, page)


def verify_all(demo: RunningDemo, page: Page) -> bool:
    """Ask for a run; False where a periodic one is under way and the desk says so."""
    asked = "SELECT count(*) FROM runs WHERE company_id = 1 AND scope = 'requested'"
    before = demo.ask(asked)
    page.goto("/")
    with page.expect_response("**/verifications"):
        page.get_by_role("button", name="Jetzt alle abgleichen").click()
    return demo.ask(asked) != before


def retry_stop_and_resume(demo: RunningDemo, page: Page) -> None:
    tell_calcom(demo, 0, RIGHTED, minutes_off=0)
    demo.cal.fail({"kind": "latency", "seconds": 2.5, "operation": "bookings"})

    begin_bulk_retry(page, MANY)
    page.locator("[data-count=settled], [data-count=still_open]").first.wait_for()
    page.get_by_role("button", name="Anhalten").click()
    page.locator("#progress").get_by_text("Angehalten", exact=True).wait_for()
    stopped = counts(page)
    assert sum(stopped.values()) == MANY
    assert stopped["cancelled"] > 0
    assert stopped.get("settled", 0) + stopped.get("still_open", 0) > 0
    left = open_findings(demo)
    assert left == MANY - stopped.get("settled", 0)

    number = begin_bulk_retry(page, left)
    page.locator("[data-count=settled], [data-count=still_open]").first.wait_for()
    assert ended(page) < left
    killed_at = time.monotonic()
    for process in demo.processes("worker.py"):
        if "scheduler" not in process.cmdline():
            process.send_signal(signal.SIGKILL)
    assert within(
        60,
        lambda: (
            demo.ask("SELECT lease_until > now() FROM bulk_actions WHERE id = %s", number)[0]
            and demo.ask(
                "SELECT count(*) > 0 FROM bulk_items WHERE bulk_action_id = %s AND finished_at >"
                " now() - interval '2 seconds'",
                number,
            )[0]
        ),
    ), "nobody took over within a minute"
    assert time.monotonic() - killed_at < 60
    page.locator("#progress").get_by_text("Erledigt", exact=True).first.wait_for(timeout=120_000)
    demo.cal.heal()
    expect(page.locator("#progress[hx-trigger]")).to_have_count(0, timeout=120_000)
    last = counts(page)
    assert sum(last.values()) == left
    assert stopped.get("settled", 0) + last["settled"] == RIGHTED
    assert last["still_open"] == MANY - RIGHTED
    assert open_findings(demo) == MANY - RIGHTED
