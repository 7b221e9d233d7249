"""A change reaches Cal.com once, whatever happens on the way."""

import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from tests.desk import Desk, in_days
from tests.factories import make_person
from webapp import clock
from webapp.application import settings
from webapp.calcom.errors import Rejected
from webapp.extensions import db
from webapp.jobs import push
from webapp.jobs.connection import TransactionOpenError, open_client
from webapp.jobs.inline import run_job
from webapp.models.appointment import AppointmentStatus
from webapp.models.company import Company
from webapp.models.customer import Customer
from webapp.models.discrepancy import Resolution
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import as_company
from webapp.models.user import Role
from webapp.sync.carry import Carried, carry
from webapp.sync.findings import close_finding
from webapp.sync.push import Claim, claim_intent

KEY_REFUSED = [
    {"kind": "status", "status": 401, "operation": operation}
    for operation in ("bookings.create", "me")
]


def test_a_booked_appointment_stands_on_calcom_with_one_mail(desk: Desk) -> None:
    appointment_id = desk.book(in_days(2))

    desk.work()

    row = desk.appointment(appointment_id)
    [booking] = desk.cal.live_bookings()
    assert row.calcom_sync_status is SyncState.SYNCED
    assert row.status is AppointmentStatus.CONFIRMED
    assert row.calcom_v2_booking_id == booking["uid"]
    assert row.base_starts_at == in_days(2)
    assert desk.cal.mails() == ["created"]


def test_a_reschedule_follows_the_new_uid(desk: Desk) -> None:
    appointment_id = desk.book(in_days(2))
    desk.work()
    first_uid = desk.appointment(appointment_id).calcom_v2_booking_id

    desk.move(appointment_id, in_days(3))
    desk.work()
    desk.move(appointment_id, in_days(4))
    desk.work()

    row = desk.appointment(appointment_id)
    [booking] = desk.cal.live_bookings()
    assert row.calcom_v2_booking_id == booking["uid"] != first_uid
    assert row.calcom_sync_status is SyncState.SYNCED
    assert desk.cal.mails() == ["created", "rescheduled", "rescheduled"]


def test_a_cancellation_ends_the_booking(desk: Desk) -> None:
    appointment_id = desk.book()
    desk.work()

    desk.cancel(appointment_id)
    desk.work()

    assert desk.cal.live_bookings() == []
    row = desk.appointment(appointment_id)
    assert (row.status, row.calcom_sync_status) == (
        AppointmentStatus.CANCELLED,
        SyncState.SYNCED,
    )
    assert desk.cal.mails() == ["created", "cancelled"]


def test_a_booking_cancelled_before_it_was_sent_never_reaches_calcom(desk: Desk) -> None:
    appointment_id = desk.book()
    desk.cancel(appointment_id)

    desk.work()

    assert desk.cal.bookings() == []
    assert desk.cal.mails() == []
    assert desk.appointment(appointment_id).calcom_sync_status is SyncState.SYNCED
    assert "nothing_to_push" in desk.events(appointment_id)


def test_waiting_wishes_collapse_to_the_newest(desk: Desk) -> None:
    appointment_id = desk.book(in_days(2))
    desk.move(appointment_id, in_days(3))
    desk.move(appointment_id, in_days(4))

    desk.work()

    [booking] = desk.cal.bookings()
    assert booking["start"].startswith(in_days(4).strftime("%Y-%m-%dT%H:%M"))
    assert desk.cal.mails() == ["created"]
    assert [intent.status.value for intent in desk.intents(appointment_id)] == [
        "superseded",
        "superseded",
        "done",
    ]


@pytest.mark.parametrize("fault", ["reset_after", "timeout_after"])
def test_a_create_that_took_effect_unseen_is_looked_up_before_it_is_repeated(
    desk: Desk, fault: str
) -> None:
    desk.cal.fail({"kind": fault, "operation": "bookings.create", "times": 1})
    appointment_id = desk.book()

    desk.work_through(10)

    assert len(desk.cal.bookings()) == 1
    assert desk.cal.mails() == ["created"]
    assert desk.appointment(appointment_id).calcom_sync_status is SyncState.SYNCED
    assert desk.cal.operations().count("bookings.create") == 1


def test_ten_creates_that_time_out_after_storing_end_as_ten_bookings(desk: Desk) -> None:
    desk.cal.fail({"kind": "reset_after", "operation": "bookings.create"})
    appointments = [desk.book(in_days(2, hour)) for hour in range(6, 16)]

    desk.work_through(200)  # the breaker opens after five, and lets one through a minute later

    assert len(desk.cal.live_bookings()) == 10
    assert desk.cal.mails() == ["created"] * 10
    states = {desk.appointment(each).calcom_sync_status for each in appointments}
    assert states == {SyncState.SYNCED}


def test_a_reschedule_that_took_effect_unseen_is_not_repeated(desk: Desk) -> None:
    appointment_id = desk.book(in_days(2))
    desk.work()
    desk.cal.fail({"kind": "reset_after", "operation": "bookings.reschedule", "times": 1})

    desk.move(appointment_id, in_days(3))
    desk.work_through(10)

    assert desk.cal.mails() == ["created", "rescheduled"]
    [booking] = desk.cal.live_bookings()
    assert desk.appointment(appointment_id).calcom_v2_booking_id == booking["uid"]


def test_a_cancel_that_took_effect_unseen_is_success(desk: Desk) -> None:
    appointment_id = desk.book()
    desk.work()
    desk.cal.fail({"kind": "reset_after", "operation": "bookings.cancel", "times": 1})

    desk.cancel(appointment_id)
    desk.work_through(10)

    assert desk.cal.mails() == ["created", "cancelled"]
    assert desk.appointment(appointment_id).calcom_sync_status is SyncState.SYNCED


def test_a_new_wish_after_an_unseen_create_moves_that_booking(desk: Desk) -> None:
    desk.cal.fail({"kind": "reset_after", "operation": "bookings.create", "times": 1})
    appointment_id = desk.book(in_days(2))
    desk.work()

    desk.move(appointment_id, in_days(3))
    desk.work_through(10)

    [booking] = desk.cal.live_bookings()
    assert booking["start"].startswith(in_days(3).strftime("%Y-%m-%dT%H:%M"))
    assert desk.cal.mails() == ["created", "rescheduled"]


def test_a_new_wish_waits_for_a_listing_that_lags_behind_an_unseen_create(desk: Desk) -> None:
    desk.cal.fail(
        {"kind": "reset_after", "operation": "bookings.create", "times": 1},
        {"kind": "replica_lag", "seconds": 1.0},
    )
    appointment_id = desk.book(in_days(2))
    desk.work()
    desk.move(appointment_id, in_days(3))
    desk.work()
    assert len(desk.cal.bookings()) == 1

    desk.cal.heal()
    desk.work_through(10)

    assert len(desk.cal.live_bookings()) == 1
    assert desk.appointment(appointment_id).calcom_sync_status is SyncState.SYNCED


def test_what_keeps_failing_is_flagged_after_three_retries_and_heals_by_itself(
    desk: Desk,
) -> None:
    desk.cal.fail({"kind": "status", "status": 503, "operation": "bookings.create"})
    appointment_id = desk.book()

    desk.work_through(50)

    row = desk.appointment(appointment_id)
    assert row.calcom_sync_status is SyncState.FAILED
    assert (row.requires_manual_review, row.sync_error_code) == (True, "HTTP_503")
    assert desk.open_findings() == [(appointment_id, "sync_failed", "HTTP_503")]
    assert desk.cal.operations().count("bookings.create") == 4
    assert desk.evidence(appointment_id)["attempts"] == 4

    desk.cal.heal()
    desk.work_through(80, step=10)

    assert desk.appointment(appointment_id).calcom_sync_status is SyncState.SYNCED
    assert desk.open_findings() == []
    assert desk.cal.mails() == ["created"]


def give_up_a_move(desk: Desk) -> int:
    """Cal.com is away for longer than a push goes on quietly."""
    appointment_id = desk.book(in_days(2))
    desk.work()
    desk.cal.fail({"kind": "status", "status": 503})
    desk.move(appointment_id, in_days(4))
    desk.work_through(30 * 60, step=60)
    assert desk.intents(appointment_id)[-1].status.value == "failed"
    desk.cal.heal()
    return appointment_id


def test_what_was_given_up_while_calcom_was_away_goes_on_when_the_breaker_closes(
    desk: Desk,
) -> None:
    admin = make_person(desk.company, Role.ADMIN)
    appointment_id = give_up_a_move(desk)

    desk.work_through(120, step=30)

    row = desk.appointment(appointment_id)
    assert row.calcom_sync_status is SyncState.SYNCED
    assert row.base_starts_at == in_days(4)
    assert desk.open_findings() == []
    assert {is_open for _, is_open in desk.inbox(admin.id)} == {False}
    assert desk.cal.mails().count("rescheduled") == 1


def test_a_closing_breaker_leaves_alone_what_a_person_has_settled(desk: Desk) -> None:
    appointment_id = give_up_a_move(desk)
    with as_company(desk.company.id):
        close_finding(db.session(), appointment_id, Resolution.DISMISSED, now=clock.now())
        db.session.commit()

    desk.work_through(120, step=30)

    assert desk.intents(appointment_id)[-1].status.value == "failed"
    assert "rescheduled" not in desk.cal.mails()


def test_a_closing_breaker_leaves_alone_what_calcom_has_refused(desk: Desk) -> None:
    refused = desk.book(in_days(6))
    desk.work()
    desk.cal.fail({"kind": "status", "status": 422, "operation": "bookings.reschedule"})
    desk.move(refused, in_days(7))
    desk.work()
    give_up_a_move(desk)

    desk.work_through(120, step=30)

    assert desk.open_findings() == [(refused, "sync_failed", "HTTP_422")]


def reasons_given(desk: Desk) -> list[str]:
    return [each["cancellationReason"] for each in desk.cal.bookings()]


def test_a_cancellation_pushed_again_keeps_its_reason(desk: Desk) -> None:
    appointment_id = desk.book(in_days(2))
    desk.work()
    desk.cal.fail({"kind": "status", "status": 422, "operation": "bookings.cancel", "times": 1})
    desk.cancel(appointment_id, reason="The practice is closed")
    desk.work()

    assert desk.push_again(appointment_id)
    desk.work()

    assert reasons_given(desk) == ["The practice is closed"]


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("de", "Vom Unternehmen abgesagt"),
        ("en", "Cancelled by the company"),
        ("fr", "Cancelled by the company"),
    ],
)
def test_a_cancellation_without_a_reason_says_so_in_the_customers_language(
    desk: Desk, language: str, expected: str
) -> None:
    with as_company(desk.company.id):
        key = (desk.company.id, desk.company.customer_id)
        db.session.get_one(Customer, key).language = language
        db.session.commit()
    appointment_id = desk.book(in_days(2))
    desk.work()

    desk.cancel(appointment_id, reason=" ")
    desk.work()

    assert reasons_given(desk) == [expected]


def test_a_taken_slot_is_final_at_once(desk: Desk) -> None:
    desk.book(in_days(2))
    desk.work()
    second = desk.book(in_days(2))

    desk.work_through(40)

    row = desk.appointment(second)
    assert row.calcom_sync_status is SyncState.FAILED
    assert row.requires_manual_review
    assert len(desk.cal.live_bookings()) == 1
    assert len(desk.open_findings()) == 1


def test_a_rate_limit_waits_without_using_up_an_attempt(desk: Desk) -> None:
    desk.cal.fail(
        {"kind": "rate_limited", "reset_seconds": 20, "operation": "bookings.create", "times": 1}
    )
    appointment_id = desk.book()

    desk.work_through(10)
    [intent] = desk.intents(appointment_id)
    assert (intent.status.value, intent.attempt_count) == ("waiting", 0)

    desk.work_through(15)
    assert desk.appointment(appointment_id).calcom_sync_status is SyncState.SYNCED
    assert "push_waits" in desk.events(appointment_id)


def test_a_worker_that_died_is_taken_over_and_its_call_is_looked_up(desk: Desk) -> None:
    appointment_id = desk.book()
    [intent] = desk.intents(appointment_id)
    desk.die_with_claim(intent.id, after_calling=True)

    desk.work()
    assert desk.appointment(appointment_id).calcom_sync_status is SyncState.PENDING
    clock.advance(timedelta(seconds=45))
    desk.work()

    assert desk.appointment(appointment_id).calcom_sync_status is SyncState.SYNCED
    assert desk.cal.mails() == ["created"]


def test_a_refused_key_flags_one_push_lets_the_others_wait_and_heals_by_itself(
    desk: Desk,
) -> None:
    admin = make_person(desk.company, Role.ADMIN)
    desk.cal.fail(*KEY_REFUSED)
    appointments = [desk.book(in_days(2, hour)) for hour in (8, 9, 10)]

    desk.work_through(60, step=10)

    states = [desk.appointment(each).calcom_sync_status for each in appointments]
    assert states == [SyncState.FAILED, SyncState.PENDING, SyncState.PENDING]
    assert desk.cal.operations().count("bookings.create") == 1
    assert ("connection_broken", True) in desk.inbox(admin.id)

    desk.cal.heal()
    desk.work_through(180, step=20)

    states = [desk.appointment(each).calcom_sync_status for each in appointments]
    assert set(states) == {SyncState.SYNCED}
    assert desk.open_findings() == []
    assert {is_open for _, is_open in desk.inbox(admin.id)} == {False}


def test_who_asks_for_a_refused_key_again_is_not_flagged_for_it(desk: Desk) -> None:
    """Only the push that Cal.com refused itself is; whichever asks `/me` next just waits on."""
    desk.cal.fail(*KEY_REFUSED)
    flagged, *others = [desk.book(in_days(2, hour)) for hour in (8, 9, 10)]
    desk.work()

    for appointment_id in others:
        clock.advance(timedelta(seconds=settings().reconnect_seconds + 1))
        run_job("push", desk.company.id, desk.intents(appointment_id)[0].id)

    assert desk.cal.operations().count("me") == len(others)
    assert desk.open_findings() == [(flagged, "sync_failed", "UNAUTHORIZED")]
    assert [desk.intents(each)[0].status.value for each in others] == ["waiting"] * len(others)


def test_of_two_workers_one_asks_for_a_refused_key_again(desk: Desk, engine: Flask) -> None:
    desk.cal.fail(*KEY_REFUSED)
    one, other = [desk.intents(desk.book(in_days(2, hour)))[0].id for hour in (8, 9)]
    desk.work()
    clock.advance(timedelta(seconds=settings().reconnect_seconds + 1))
    claims: list[Claim | None] = []

    def claim(intent_id: int) -> None:
        claims.append(claim_intent(db.session(), intent_id, now=clock.now(), lease=push._lease()))

    def claim_elsewhere() -> None:
        with engine.app_context(), as_company(desk.company.id):
            claim(other)
            db.session.commit()

    worker = threading.Thread(target=claim_elsewhere)
    with as_company(desk.company.id):
        claim(one)
        worker.start()
        worker.join(0.3)
        db.session.commit()
    worker.join(20)

    assert [each is not None for each in claims] == [True, False]


def test_a_dead_workers_intent_waits_while_the_company_is_paused(desk: Desk) -> None:
    appointment_id = desk.book()
    [intent] = desk.intents(appointment_id)
    desk.die_with_claim(intent.id)
    desk.pause()

    clock.advance(timedelta(minutes=5))
    desk.work()
    assert desk.cal.bookings() == []

    desk.resume()
    desk.work()
    assert desk.appointment(appointment_id).calcom_sync_status is SyncState.SYNCED


def test_a_worker_that_lost_its_lease_cannot_finish_the_intent(desk: Desk) -> None:
    appointment_id = desk.book()
    [intent] = desk.intents(appointment_id)
    slow = desk.claim(intent.id)
    clock.advance(timedelta(seconds=45))
    desk.work()

    settled = desk.settle_claim(slow, Carried(error=Rejected("HTTP_422", "late", 422)))

    assert settled.was_lost
    assert desk.appointment(appointment_id).calcom_sync_status is SyncState.SYNCED
    assert desk.open_findings() == []
    assert "lease_lost" in desk.events(appointment_id)


def test_nothing_is_called_while_a_transaction_is_open(desk: Desk) -> None:
    with as_company(desk.company.id), open_client() as client:
        db.session.get_one(Company, desk.company.id)
        with pytest.raises(TransactionOpenError):
            client.me()


def test_a_service_without_an_event_type_is_final_and_nothing_is_sent(desk: Desk) -> None:
    desk.forget_event_type()
    appointment_id = desk.book()

    desk.work()

    assert desk.open_findings() == [(appointment_id, "sync_failed", "NO_EVENT_TYPE")]
    assert desk.cal.operations() == []


def test_two_appointments_never_claim_one_booking(desk: Desk) -> None:
    first = desk.book(in_days(2))
    desk.work()
    uid = desk.appointment(first).calcom_v2_booking_id
    second = desk.book(in_days(3))
    claim = desk.claim(desk.intents(second)[0].id)
    with as_company(desk.company.id), open_client() as client:
        theirs = client.get_booking(str(uid))

    desk.settle_claim(claim, Carried(booking=theirs, operations=["create"], uids=[str(uid)]))

    assert desk.appointment(second).calcom_v2_booking_id is None
    assert desk.open_findings() == [(second, "sync_failed", "HTTP_409")]
    assert desk.appointment(first).calcom_v2_booking_id == uid


def test_a_try_begins_no_call_that_could_outlast_its_lease(desk: Desk) -> None:
    appointment_id = desk.book(in_days(2))
    desk.work()
    desk.move(appointment_id, in_days(3))
    claim = desk.claim(desk.intents(appointment_id)[-1].id)
    desk.cal.fail({"kind": "latency", "seconds": 0.3, "operation": "bookings.get"})
    assert claim.wish is not None

    with as_company(desk.company.id), open_client() as client:
        carried = carry(
            claim.wish,
            replace(claim.known, must_look=True),
            client,
            budget_seconds=2.2,
            call_seconds=2.0,
        )

    assert carried.operations == ["get"]
    assert (carried.error and carried.error.code, carried.is_in_doubt) == ("TIMEOUT", False)
    assert desk.cal.mails() == ["created"]


def test_asking_for_a_refused_key_again_is_part_of_the_tries_budget(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the try could outlast its lease by as long as `/me` takes."""
    desk.cal.fail(*KEY_REFUSED)
    appointment_id = desk.book(in_days(2))
    desk.work()
    desk.cal.fail({"kind": "latency", "seconds": 0.3, "operation": "me"})
    budgets: list[float] = []

    def note_budget(*arguments: Any, budget_seconds: float, **values: Any) -> Carried:
        budgets.append(budget_seconds)
        return carry(*arguments, budget_seconds=budget_seconds, **values)

    monkeypatch.setattr(push, "carry", note_budget)
    clock.advance(timedelta(seconds=settings().reconnect_seconds + 1))
    desk.work()

    assert desk.appointment(appointment_id).calcom_sync_status is SyncState.SYNCED
    assert budgets[0] < settings().push_budget_seconds - 0.25


def test_what_one_worker_holds_no_other_claims(desk: Desk) -> None:
    """The same job twice, the second while the first is being carried."""
    [intent] = desk.intents(desk.book(in_days(2)))
    held = desk.claim(intent.id)

    run_job("push", desk.company.id, intent.id)

    [row] = desk.intents(held.appointment_id)
    assert row.lease_token == held.token
    assert desk.cal.operations() == []
