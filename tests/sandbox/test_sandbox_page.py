"""The page: a person books, moves and cancels as on Cal.com, and breaks things."""

import html
import re

from sandbox_cast import ANNA, CONSULTATION, HAIRCUT, NINE, Answer, Caller


def page(cal: Caller, **params: str) -> str:
    answer = cal.http.get("/", params={"account": ANNA, **params})
    assert answer.status_code == 200
    return html.unescape(answer.text)


def submit(cal: Caller, path: str, **fields: str) -> Answer:
    return cal.http.post(path, data={"account": ANNA, **fields})


def test_the_page_says_that_it_stands_in_for_cal_com(cal: Caller) -> None:
    shown = page(cal)
    assert "stands in for Cal.com" in shown
    assert "Nothing here is real" in shown
    assert shown.count("<h1>") == 1


def test_it_works_under_a_strict_policy_without_scripts_or_inline_styles(cal: Caller) -> None:
    cal.booked()
    answer = cal.http.get("/")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert not re.search(r"<script|<style|style=| on[a-z]+=", answer.text)
    assert cal.http.get("/static/sandbox.css").status_code == 200


def test_every_field_has_a_label(cal: Caller) -> None:
    cal.booked(eventTypeId=CONSULTATION)
    shown = page(cal)
    outside = re.sub(r"<label.*?</label>", "", shown, flags=re.DOTALL)
    fields = re.findall(r"<(?:input|select)[^>]*>", outside)
    assert [each for each in fields if 'type="hidden"' not in each] == []


def test_a_person_books_in_the_accounts_time_zone(cal: Caller) -> None:
    fields = {"event_type": str(HAIRCUT), "name": "Al", "email": "al@example.org"}
    answer = submit(cal, "/bookings", start="2026-03-02T10:00", **fields)
    assert answer.status_code == 303
    assert [each["start"] for each in cal.listed()] == ["2026-03-02T09:00:00.000Z"]
    assert "2026-03-02 10:00–10:30" in page(cal, said="booked")


def test_a_person_moves_and_cancels(cal: Caller) -> None:
    old = cal.booked()["uid"]
    moved = submit(cal, f"/bookings/{old}/move", start="2026-03-02T12:00")
    assert moved.status_code == 303
    new = cal.listed(status="upcoming")[0]["uid"]
    assert submit(cal, f"/bookings/{new}/cancellation", reason="Ill").status_code == 303
    assert [each["status"] for each in cal.listed()] == ["cancelled", "cancelled"]
    assert f"moved to {new}" in page(cal, view="all")


def test_a_host_confirms_and_declines(cal: Caller) -> None:
    first = cal.booked(NINE, eventTypeId=CONSULTATION)["uid"]
    second = cal.booked("2026-03-03T09:00:00Z", eventTypeId=CONSULTATION)["uid"]
    submit(cal, f"/bookings/{first}/confirmation")
    submit(cal, f"/bookings/{second}/rejection", reason="Full")
    assert [each["status"] for each in cal.listed()] == ["accepted", "rejected"]


def test_a_refusal_is_shown_with_its_reason_and_the_form_kept(cal: Caller) -> None:
    cal.booked()
    fields = {"event_type": str(HAIRCUT), "name": "Al", "email": "al@example.org"}
    answer = submit(cal, "/bookings", start="2026-03-02T10:00", **fields)
    assert answer.status_code == 422
    assert "Refused: User either already has booking" in answer.text
    assert 'value="al@example.org"' in answer.text
    assert submit(cal, "/bookings", start="", **fields).status_code == 422


def test_faults_are_switched_on_and_off(cal: Caller) -> None:
    on = submit(cal, "/faults", kind="status", status="502", times="2", operation="bookings")
    assert on.status_code == 303
    assert cal.steer("GET", "/faults")["faults"][0] | {"met": 0} == {
        "kind": "status",
        "status": 502,
        "times": 2,
        "operation": "bookings",
        "body": "json",
        "after_effect": False,
        "met": 0,
        "struck": 0,
    }
    submit(cal, "/faults", kind="latency", seconds="0.01", only_account="1")
    assert submit(cal, "/faults/0/removal").status_code == 303
    assert [each["account"] for each in cal.steer("GET", "/faults")["faults"]] == [ANNA]
    submit(cal, "/faults/clearing")
    assert cal.steer("GET", "/faults")["faults"] == []
    assert submit(cal, "/faults", kind="gremlin").status_code == 422


def test_recent_mails_and_calls_can_be_read(cal: Caller) -> None:
    cal.booked(attendee={"name": "<b>Al</b>", "email": "al@example.org", "timeZone": "UTC"})
    raw = cal.http.get("/").text
    assert "al@example.org" in raw
    assert "bookings.create" in raw
    assert "<b>Al" not in raw


def test_an_empty_sandbox_has_a_page_too(cal: Caller) -> None:
    cal.steer("POST", "/reset")
    assert "There are no accounts yet" in cal.http.get("/").text
