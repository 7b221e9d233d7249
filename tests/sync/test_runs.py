"""Runs over many: what differs is found and rightly named, by a handful of listings."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text

from tests.desk import Desk, in_days
from tests.factories import make_person
from tests.filled import Pair, disturb, fill_calendar, move_there
from tests.filled import write as write_ours
from webapp import clock
from webapp.calcom.errors import RateLimited
from webapp.extensions import db
from webapp.jobs import sweep
from webapp.jobs.inline import run_job
from webapp.models.appointment import Appointment, AppointmentStatus
from webapp.models.company import UnclaimedPolicy
from webapp.models.discrepancy import Discrepancy
from webapp.models.run import Run, RunScope, RunSighting
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import as_company
from webapp.models.user import Role
from webapp.sync.carry import METADATA_KEY
from webapp.sync.runs import request_stop, start_run


def begin(desk: Desk, scope: RunScope) -> int:
    with as_company(desk.company.id):
        run_id = start_run(db.session(), scope=scope, now=clock.now())
        db.session.commit()
    assert run_id is not None
    return run_id


def run(desk: Desk, scope: RunScope = RunScope.FULL) -> Run:
    """One run, worked on to its end."""
    run_id = begin(desk, scope)
    run_job("run", desk.company.id, run_id)
    return read(desk, run_id)


def read(desk: Desk, run_id: int) -> Run:
    with as_company(desk.company.id):
        row = db.session.get_one(Run, (desk.company.id, run_id))
        db.session.expunge(row)
        return row


def branches(desk: Desk) -> dict[int, tuple[str, str]]:
    """What is open: appointment → type and branch."""
    with as_company(desk.company.id):
        rows = db.session.scalars(select(Discrepancy).where(Discrepancy.resolved_at.is_(None)))
        return {row.appointment_id: (row.type.value, row.evidence["branch"]) for row in rows}


def listings(desk: Desk) -> int:
    return desk.cal.operations().count("bookings.list")


def write(desk: Desk, appointment_id: int, **columns: Any) -> None:
    write_ours(desk.company, appointment_id, **columns)


def test_a_calendar_that_agrees_costs_a_listing_for_more_than_two_hundred_and_writes_no_row(
    desk: Desk,
) -> None:
    fill_calendar(desk.company, desk.cal, 600)
    stamps = "SELECT count(*), max(xmin::text::bigint) FROM appointments"
    with as_company(desk.company.id):
        before = db.session.execute(text(stamps)).one()

    done = run(desk)

    assert (done.status.value, done.compared_count, done.agreed_count) == ("done", 600, 600)
    assert (done.listing_count, done.request_count) == (3, 4)
    assert done.listed_count == 600
    assert listings(desk) == 3
    with as_company(desk.company.id):
        assert db.session.execute(text(stamps)).one() == before
        assert db.session.scalars(select(RunSighting)).all() == []


def test_every_way_of_disagreeing_is_found_and_rightly_named_and_nothing_else_is_touched(
    desk: Desk,
) -> None:
    pairs = fill_calendar(desk.company, desk.cal, 700)
    disturbed = disturb(desk.company, desk.cal, pairs[37::47])
    news = desk.cal.book(
        eventTypeId=desk.company.event_type_id, start=in_days(200).isoformat(), silent=True
    )
    clock.advance(timedelta(minutes=20))

    first = run(desk)
    clock.advance(timedelta(minutes=5))
    desk.work()

    found = branches(desk)
    with as_company(desk.company.id):
        stranger = db.session.scalars(
            select(Appointment.id).where(Appointment.calcom_v2_booking_id == news["uid"])
        ).one()
    assert found == {**disturbed, stranger: ("orphaned_calcom", "only_there")}
    assert first.only_there_count == 1
    assert first.flagged_count == len(disturbed), "the missing one is flagged later"
    with as_company(desk.company.id):
        synced = db.session.scalars(
            select(Appointment.id).where(Appointment.calcom_sync_status == SyncState.SYNCED)
        ).all()
    assert set(synced) == {pair.id for pair in pairs} - set(disturbed)


def move(desk: Desk, pair: Pair) -> None:
    move_there(desk.company, desk.cal, pair)


def test_what_agrees_again_closes_by_itself_in_the_next_run(desk: Desk) -> None:
    admin = make_person(desk.company, Role.ADMIN)
    [pair] = fill_calendar(desk.company, desk.cal, 1)
    write(desk, pair.id, starts_at=pair.starts_at - timedelta(hours=1))
    run(desk)
    assert desk.inbox(admin.id) == [("data_mismatch", True)]

    write(desk, pair.id, starts_at=pair.starts_at)
    done = run(desk)

    assert (done.healed_count, done.agreed_count) == (1, 1)
    assert desk.inbox(admin.id) == [("data_mismatch", False)]
    assert desk.appointment(pair.id).calcom_sync_status is SyncState.SYNCED


def test_a_chain_of_reschedules_over_several_pages_is_one_appointment(desk: Desk) -> None:
    """From the first page to the last and back: the first page shows both its ends only."""
    pairs = fill_calendar(desk.company, desk.cal, 600)
    chosen, cancelled = pairs[10], pairs[590]
    at_last, at_first = in_days(200), pairs[0].starts_at - timedelta(hours=3)
    second = desk.cal.change(chosen.uid, "reschedule", start=at_last.isoformat())
    third = desk.cal.change(second["uid"], "reschedule", start=at_first.isoformat())
    desk.cal.change(cancelled.uid, "cancel", reason="noise")
    write(desk, chosen.id, starts_at=at_first)
    clock.advance(timedelta(minutes=20))

    done = run(desk)

    row = desk.appointment(chosen.id)
    assert row.calcom_v2_booking_id == third["uid"]
    assert row.calcom_sync_status is SyncState.SYNCED
    assert branches(desk) == {cancelled.id: ("data_mismatch", "cancelled_there")}
    assert (done.only_there_count, len(desk.appointments())) == (0, 600)


def test_a_delta_reads_what_changed_since_the_watermark_and_nothing_else(desk: Desk) -> None:
    pairs = fill_calendar(desk.company, desk.cal, 300)
    run(desk, RunScope.DELTA)
    move(desk, pairs[5])
    clock.advance(timedelta(minutes=10))

    done = run(desk, RunScope.DELTA)

    assert (done.listing_count, done.compared_count) == (1, 1)
    assert done.changed_since is not None
    assert branches(desk) == {pairs[5].id: ("data_mismatch", "moved_there")}


def test_a_change_as_young_as_its_webhook_is_left_to_it_by_a_slots_run(desk: Desk) -> None:
    [pair] = fill_calendar(desk.company, desk.cal, 1)
    move(desk, pair)

    done = run(desk, RunScope.DELTA)

    assert (done.skipped, desk.open_findings()) == ({"just_changed": 1}, [])
    desk.work_through(130, step=65)
    assert branches(desk) == {pair.id: ("data_mismatch", "moved_there")}


def test_a_booking_found_only_there_is_flagged_and_closes_when_it_is_cancelled_there(
    desk: Desk,
) -> None:
    admin = make_person(desk.company, Role.ADMIN)
    news = desk.cal.book(
        eventTypeId=desk.company.event_type_id, start=in_days(9).isoformat(), silent=True
    )
    clock.advance(timedelta(minutes=20))

    run(desk)
    run(desk)

    [found] = desk.appointments()
    row = desk.appointment(found)
    assert (row.calcom_sync_status, row.requires_manual_review) == (SyncState.ORPHANED_CALCOM, True)
    assert row.starts_at == in_days(9)
    assert desk.inbox(admin.id) == [("orphaned_calcom", True)]
    assert desk.events(found) == ["found_there"]
    desk.cal.change(news["uid"], "cancel", reason="x")
    run(desk)
    assert desk.appointment(found).status is AppointmentStatus.CANCELLED
    assert (desk.open_findings(), desk.inbox(admin.id)) == ([], [("orphaned_calcom", False)])


def test_by_policy_it_is_taken_over_and_told(desk: Desk) -> None:
    admin = make_person(desk.company, Role.ADMIN)
    desk._write_company(unclaimed_policy=UnclaimedPolicy.ADOPT)
    desk.cal.book(eventTypeId=desk.company.event_type_id, start=in_days(9).isoformat(), silent=True)
    clock.advance(timedelta(minutes=20))

    run(desk)

    [found] = desk.appointments()
    assert desk.appointment(found).calcom_sync_status is SyncState.SYNCED
    assert desk.inbox(admin.id) == [("booking_adopted", True)]
    assert desk.events(found) == ["adopted", "push_back_suppressed"]
    assert (desk.intents(found), desk.open_findings()) == ([], [])


@pytest.mark.parametrize(
    ("booking", "reason"),
    [
        ({"status": "cancelled"}, "not_live"),
        ({"status": "rejected"}, "not_live"),
        ({"days": -40}, "long_past"),
        ({"young": True}, "just_made"),
    ],
)
def test_some_bookings_nobody_claims_concern_nobody(
    desk: Desk, booking: dict[str, Any], reason: str
) -> None:
    body: dict[str, Any] = {
        "eventTypeId": desk.company.event_type_id,
        "start": in_days(booking.pop("days", 9)).isoformat(),
        "silent": True,
    }
    is_young = booking.pop("young", False)
    desk.cal.book(**body, **booking)
    if not is_young:
        clock.advance(timedelta(minutes=20))

    done = run(desk)

    assert (done.skipped, desk.appointments()) == ({reason: 1}, [])


def test_a_booking_with_our_key_is_given_to_its_appointment_not_imported(desk: Desk) -> None:
    """The answer to a create was lost for good, and somebody moved the booking since."""
    [pair] = fill_calendar(desk.company, desk.cal, 1)
    write(
        desk,
        pair.id,
        calcom_v2_booking_id=None,
        base_uid=None,
        base_starts_at=None,
        base_status=None,
        calcom_sync_status=SyncState.PENDING,
    )
    with as_company(desk.company.id):
        db.session.execute(text("UPDATE booking_aliases SET uid = 'elsewhere'"))
        db.session.commit()

    run(desk)

    row = desk.appointment(pair.id)
    assert (row.calcom_sync_status, row.calcom_v2_booking_id) == (SyncState.SYNCED, pair.uid)
    assert desk.appointments() == [pair.id]
    assert "recognised" in desk.events(pair.id)


def test_a_second_booking_with_the_same_key_is_an_orphan_of_calcoms(desk: Desk) -> None:
    [pair] = fill_calendar(desk.company, desk.cal, 1)
    key = str(desk.appointment(pair.id).sync_key)
    desk.cal.book(
        eventTypeId=desk.company.event_type_id,
        start=in_days(30).isoformat(),
        metadata={METADATA_KEY: key},
        silent=True,
    )
    clock.advance(timedelta(minutes=20))

    run(desk)

    [_, second] = desk.appointments()
    assert branches(desk) == {second: ("orphaned_calcom", "only_there")}
    assert desk.appointment(pair.id).calcom_sync_status is SyncState.SYNCED


def test_another_companys_booking_is_never_taken(desk: Desk, engine: Flask) -> None:
    other = Desk(_sandbox_of(desk), "mondschein")
    news = desk.cal.book(
        eventTypeId=desk.company.event_type_id, start=in_days(9).isoformat(), silent=True
    )
    [theirs] = fill_calendar(other.company, other.cal, 1)
    with as_company(other.company.id):
        db.session.execute(text("UPDATE booking_aliases SET uid = :uid"), {"uid": news["uid"]})
        db.session.commit()
    clock.advance(timedelta(minutes=20))

    done = run(desk)

    assert done.skipped == {"claimed_elsewhere": 1}
    assert desk.appointments() == []
    assert other.appointments() == [theirs.id]


def _sandbox_of(desk: Desk) -> Any:
    class Running:
        url = desk.url

    return Running()


def test_a_run_goes_on_in_a_further_job_and_counts_nothing_twice(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_calendar(desk.company, desk.cal, 600)
    run_id = begin(desk, RunScope.FULL)
    monkeypatch.setattr(sweep, "RUN_SECONDS", -1.0)

    run_job("run", desk.company.id, run_id)

    assert read(desk, run_id).status.value == "running"
    monkeypatch.setattr(sweep, "RUN_SECONDS", 240.0)
    run_job("run", desk.company.id, run_id)
    done = read(desk, run_id)
    assert (done.status.value, done.compared_count, done.listing_count) == ("done", 600, 3)


def test_a_run_that_was_asked_to_stop_ends_before_its_next_page(desk: Desk) -> None:
    fill_calendar(desk.company, desk.cal, 300)
    run_id = begin(desk, RunScope.FULL)
    with as_company(desk.company.id):
        assert request_stop(db.session(), run_id, now=clock.now(), user_id=None)
        db.session.commit()

    run_job("run", desk.company.id, run_id)

    done = read(desk, run_id)
    assert (done.status.value, done.listing_count) == ("stopped", 0)
    with as_company(desk.company.id):
        assert not request_stop(db.session(), run_id, now=clock.now(), user_id=None)


def test_a_look_at_changes_gives_way_to_a_person_and_loses_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = fill_calendar(desk.company, desk.cal, 3)
    run(desk, RunScope.DELTA)
    move(desk, pairs[0])
    clock.advance(timedelta(minutes=10))
    delta, asked = begin(desk, RunScope.DELTA), []
    read_page = sweep.read_by_change

    def ask_meanwhile(*args: Any) -> Any:
        asked.append(begin(desk, RunScope.REQUESTED))
        return read_page(*args)

    with monkeypatch.context() as patch:
        patch.setattr(sweep, "read_by_change", ask_meanwhile)
        run_job("run", desk.company.id, delta)

    ended = read(desk, delta)
    assert (ended.status.value, ended.compared_count) == ("stopped", 0)
    assert desk.open_findings() == [], "what it read counts for nothing"
    run_job("run", desk.company.id, asked[0])
    assert read(desk, asked[0]).status.value == "done"
    assert branches(desk) == {pairs[0].id: ("data_mismatch", "moved_there")}
    assert run(desk, RunScope.DELTA).changed_since == ended.changed_since


def test_a_run_that_waits_for_cal_com_stops_when_it_is_asked_to(desk: Desk) -> None:
    run_id = begin(desk, RunScope.FULL)
    desk.cal.fail({"kind": "rate_limited", "reset_seconds": 50, "times": 100})
    run_job("run", desk.company.id, run_id)
    assert read(desk, run_id).lease_until > clock.now(), "it waits"
    with as_company(desk.company.id):
        assert request_stop(db.session(), run_id, now=clock.now(), user_id=None)
        db.session.commit()

    desk.work()

    assert read(desk, run_id).status.value == "stopped"


def test_one_that_is_asked_to_stop_while_it_calls_in_vain_waits_no_more(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = begin(desk, RunScope.FULL)

    def ask_meanwhile(*_args: object) -> None:
        request_stop(db.session(), run_id, now=clock.now(), user_id=None)
        db.session.commit()
        raise RateLimited(50)

    with monkeypatch.context() as patch:
        patch.setattr(sweep, "read_by_start", ask_meanwhile)
        run_job("run", desk.company.id, run_id)
    desk.work()

    assert read(desk, run_id).status.value == "stopped"


def test_whatever_is_flagged_is_looked_at_again_even_outside_the_window(desk: Desk) -> None:
    [pair] = fill_calendar(desk.company, desk.cal, 1, first=in_days(-120))
    write(desk, pair.id, starts_at=pair.starts_at - timedelta(hours=1))
    desk.ask_to_verify(pair.id)
    desk.work()
    assert branches(desk) == {pair.id: ("data_mismatch", "moved_here")}

    write(desk, pair.id, starts_at=pair.starts_at)
    clock.advance(timedelta(minutes=10))
    done = run(desk, RunScope.SCHEDULED)

    assert (done.healed_count, desk.open_findings()) == (1, [])


def test_a_page_that_breaks_us_does_not_block_later_runs_for_ever(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_calendar(desk.company, desk.cal, 2)
    run_id = begin(desk, RunScope.FULL)

    def break_off(*_args: object, **_more: object) -> None:
        raise LookupError("nobody foresaw this")

    with monkeypatch.context() as patch:
        patch.setattr(sweep, "record_page", break_off)
        run_job("run", desk.company.id, run_id)
        assert read(desk, run_id).status.value == "running"
        desk.work_through(80, step=20)

    broken = read(desk, run_id)
    assert (broken.status.value, broken.error_code) == ("failed", "INTERNAL")
    assert run(desk).agreed_count == 2
