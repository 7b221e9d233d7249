"""A bad listing flags nothing: what looks like loss and isn't writes no orphan, and where it is
past belief, opens one incident."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from tests.desk import Desk, in_days
from tests.factories import make_person
from tests.filled import Pair, fill_calendar
from tests.sync.test_runs import begin, branches, read, run, write
from webapp import clock
from webapp.application import vault
from webapp.extensions import db
from webapp.jobs import sweep
from webapp.jobs.inline import run_job
from webapp.models.appointment import Appointment
from webapp.models.company import Company, Secret
from webapp.models.incident import Incident
from webapp.models.run import Run, RunScope
from webapp.models.sync_state import SyncState
from webapp.models.tenancy import as_company
from webapp.models.user import Role
from webapp.sync.incidents import Settled, flag_them, run_again

LISTING = "bookings.list"
Way = Callable[..., Settled | None]


def incidents(desk: Desk) -> list[tuple[str, str | None]]:
    """`(cause, settlement)` of each."""
    with as_company(desk.company.id):
        rows = db.session.scalars(select(Incident).order_by(Incident.id))
        return [(row.evidence["cause"], row.settlement and row.settlement.value) for row in rows]


def orphans(desk: Desk) -> int:
    with as_company(desk.company.id):
        states = db.session.scalars(select(Appointment.calcom_sync_status))
        return sum(state in ("orphaned_local", "orphaned_calcom") for state in states)


def settle(desk: Desk, way: Way, user_id: int | None = None) -> Run:
    """A person's way out of the one open incident, and the run that it begins."""
    with as_company(desk.company.id):
        row = db.session.scalars(select(Incident).where(Incident.settled_at.is_(None))).one()
        settled = way(db.session(), row.id, now=clock.now(), user_id=user_id)
        db.session.commit()
    assert settled is not None
    run_job("run", desk.company.id, settled.run_id)
    return read(desk, settled.run_id)


def let_time_pass(desk: Desk) -> None:
    """Long enough for second sightings to be made, if anything waited for one."""
    clock.advance(timedelta(minutes=10))
    desk.work()


@pytest.fixture
def full(desk: Desk) -> list[Pair]:
    return fill_calendar(desk.company, desk.cal, 300)


def test_a_truncated_listing_proves_nothing_missing(desk: Desk) -> None:
    fill_calendar(desk.company, desk.cal, 60)
    desk.cal.fail({"kind": "truncated_list", "keep": 20, "operation": LISTING})

    done = run(desk)
    let_time_pass(desk)

    assert (done.status.value, done.agreed_count) == ("done", 60), "forty direct looks"
    assert (orphans(desk), incidents(desk), desk.open_findings()) == (0, [], [])


def test_a_listing_cut_off_at_the_page_cap_proves_nothing_missing(
    desk: Desk, full: list[Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    capped = sweep.settings().model_copy(update={"verification_page_cap": 1})
    monkeypatch.setattr(sweep, "settings", lambda: capped)
    desk.cal.vanish(full[3].uid)

    done = run(desk)
    let_time_pass(desk)

    assert (done.status.value, done.is_truncated) == ("done", True)
    assert done.skipped == {"truncated": 1}
    assert (orphans(desk), incidents(desk)) == (0, [])


def test_an_empty_listing_flags_nothing_and_opens_one_incident(
    desk: Desk, full: list[Pair]
) -> None:
    admin = make_person(desk.company, Role.ADMIN)
    desk.cal.fail({"kind": "empty_list", "operation": LISTING})

    done = run(desk)
    run(desk)
    let_time_pass(desk)

    assert (done.status.value, done.error_code) == ("failed", "VERIFICATION_UNTRUSTED")
    assert (orphans(desk), incidents(desk)) == (0, [("theirs_empty", None)])
    assert desk.inbox(admin.id) == [("verification_untrusted", True)]
    assert desk.cal.operations().count("bookings.get") == 0


def test_a_later_sane_run_closes_the_incident_by_itself(desk: Desk, full: list[Pair]) -> None:
    admin = make_person(desk.company, Role.ADMIN)
    desk.cal.fail({"kind": "empty_list", "operation": LISTING})
    run(desk)
    desk.cal.heal()

    run(desk, RunScope.DELTA)
    assert incidents(desk) == [("theirs_empty", None)], "a look at changes proves nothing"
    run(desk, RunScope.SCHEDULED)

    assert incidents(desk) == [("theirs_empty", "by_itself")]
    assert desk.inbox(admin.id) == [("verification_untrusted", False)]


def test_trouble_in_the_middle_of_a_listing_proves_nothing(desk: Desk, full: list[Pair]) -> None:
    desk.cal.fail({"kind": "status", "status": 502, "operation": LISTING, "every": 2, "times": 1})

    run_id = begin(desk, RunScope.FULL)
    run_job("run", desk.company.id, run_id)

    assert read(desk, run_id).status.value == "running"
    assert orphans(desk) == 0
    desk.work_through(60, step=10)
    done = read(desk, run_id)
    assert (done.status.value, done.compared_count, done.listing_count) == ("done", 300, 2)
    assert (orphans(desk), incidents(desk), desk.open_findings()) == (0, [], [])


def test_what_a_replica_does_not_show_yet_is_not_missing(desk: Desk) -> None:
    booked = [desk.book(in_days(3, hour)) for hour in range(8, 16)]
    desk.work()
    desk.cal.fail({"kind": "replica_lag", "seconds": 3600})

    done = run(desk)
    let_time_pass(desk)
    desk.cal.heal()

    assert done.skipped == {"just_written": len(booked)}
    assert (orphans(desk), incidents(desk)) == (0, [])


def test_a_booking_moved_while_the_listing_is_read_is_not_missing(
    desk: Desk, full: list[Pair], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the last page to a time that the first one has shown already, and the other way."""
    first, last = full[0], full[-1]
    moved = []
    read_page = sweep.read_by_start

    def read_and_move(*args: Any) -> Any:
        page = read_page(*args)
        if not moved:
            early = first.starts_at - timedelta(hours=2)
            moved.append(desk.cal.change(last.uid, "reschedule", start=early.isoformat()))
            late = last.starts_at + timedelta(days=2)
            moved.append(desk.cal.change(first.uid, "reschedule", start=late.isoformat()))
        return page

    monkeypatch.setattr(sweep, "read_by_start", read_and_move)
    clock.advance(timedelta(minutes=20))

    run(desk)
    let_time_pass(desk)

    expected = ("data_mismatch", "moved_there")
    assert branches(desk) == {first.id: expected, last.id: expected}
    assert (orphans(desk), incidents(desk)) == (0, [])


def test_a_run_during_fifty_pushes_in_flight_touches_none_of_them(desk: Desk) -> None:
    standing = fill_calendar(desk.company, desk.cal, 60, first=in_days(60))
    booked = [desk.book(in_days(1 + n // 10, 8 + n % 10)) for n in range(30)]
    for pair in standing[:10]:
        desk.move(pair.id, pair.starts_at + timedelta(days=30))
    for pair in standing[10:20]:
        desk.cancel(pair.id)
    intents = [desk.intents(each)[-1].id for each in booked[:20]]
    claims = [desk.claim(intent_id) for intent_id in intents]
    for intent_id in (desk.intents(each)[-1].id for each in booked[20:30]):
        # Stored over there, its answer never written down.
        desk.die_with_claim(intent_id, after_calling=True)

    clock.advance(timedelta(minutes=5))
    done = run(desk)

    assert len(claims) == 20
    assert done.skipped["on_its_way"] == 60, "fifty appointments, ten of them also as bookings"
    assert (done.agreed_count, done.only_there_count) == (40, 0)
    assert (orphans(desk), incidents(desk), desk.open_findings()) == (0, [], [])
    assert len(desk.appointments()) == 90


def test_a_wrong_key_fails_the_run_and_says_nothing_of_any_appointment(
    desk: Desk, full: list[Pair]
) -> None:
    admin = make_person(desk.company, Role.ADMIN)
    desk.cal.fail({"kind": "status", "status": 401})

    done = run(desk)
    let_time_pass(desk)

    assert (done.status.value, done.error_code) == ("failed", "UNAUTHORIZED")
    assert (orphans(desk), incidents(desk)) == (0, [])
    assert desk.inbox(admin.id) == [("connection_broken", True)]


def test_another_accounts_key_is_noticed_before_anything_is_compared(
    desk: Desk, full: list[Pair]
) -> None:
    admin = make_person(desk.company, Role.ADMIN)
    run(desk)
    use_key_of_another(desk)

    done = run(desk)
    run(desk)
    let_time_pass(desk)

    assert (done.status.value, done.listing_count) == ("failed", 0)
    assert (orphans(desk), incidents(desk)) == (0, [("other_account", None)])
    assert desk.inbox(admin.id) == [("verification_untrusted", True)]


def use_key_of_another(desk: Desk) -> None:
    desk.cal.put("accounts", {"email": "other@cal.test", "key": "cal_other"})
    with as_company(desk.company.id):
        company = db.session.get_one(Company, desk.company.id)
        company.set_secret(Secret.API_KEY, "cal_other", vault())
        db.session.commit()


def test_an_account_taken_as_the_companys_is_still_braked_when_it_shows_nothing(
    desk: Desk, full: list[Pair]
) -> None:
    run(desk)
    use_key_of_another(desk)
    run(desk)

    done = settle(desk, flag_them)

    assert done.error_code == "VERIFICATION_UNTRUSTED"
    assert orphans(desk) == 0
    assert incidents(desk) == [("other_account", "flagged"), ("theirs_empty", None)]


def test_more_missing_than_can_be_believed_brakes_and_a_person_may_say_flag_them(
    desk: Desk, full: list[Pair]
) -> None:
    admin = make_person(desk.company, Role.ADMIN)
    gone = full[100:107]
    for pair in gone:
        desk.cal.vanish(pair.uid)

    braked = run(desk)
    let_time_pass(desk)

    assert braked.error_code == "VERIFICATION_UNTRUSTED"
    assert (orphans(desk), incidents(desk)) == (0, [("too_many_missing", None)])
    with as_company(desk.company.id):
        evidence = db.session.scalars(select(Incident.evidence)).one()
    assert (evidence["missing"], evidence["threshold"], evidence["active"]) == (7, 6, 300)
    assert set(evidence["sample"]) <= {pair.id for pair in gone}

    done = settle(desk, flag_them, admin.id)

    assert done.flagged_count == 7
    assert branches(desk) == {pair.id: ("orphaned_local", "vanished_there") for pair in gone}
    assert incidents(desk) == [("too_many_missing", "flagged")]


def test_as_many_missing_as_can_be_believed_are_flagged_at_the_second_sighting(
    desk: Desk, full: list[Pair]
) -> None:
    gone = full[100:106]
    for pair in gone:
        desk.cal.vanish(pair.uid)

    run(desk)
    assert orphans(desk) == 0
    let_time_pass(desk)

    assert branches(desk) == {pair.id: ("orphaned_local", "vanished_there") for pair in gone}
    assert incidents(desk) == []


def test_run_again_looks_anew_with_the_brake_on(desk: Desk, full: list[Pair]) -> None:
    desk.cal.fail({"kind": "empty_list", "operation": LISTING})
    run(desk)
    desk.cal.heal()

    done = settle(desk, run_again)

    assert (done.status.value, done.agreed_count) == ("done", 300)
    assert incidents(desk) == [("theirs_empty", "ran_again")]


def test_our_own_side_suddenly_empty_imports_nothing_until_a_person_says_so(desk: Desk) -> None:
    pairs = fill_calendar(desk.company, desk.cal, 20)
    run(desk)
    for pair in pairs:
        # A database put back to an old state: nothing of the window is left.
        write(desk, pair.id, starts_at=in_days(-400), ends_at=in_days(-399))
    with as_company(desk.company.id):
        db.session.execute(text("UPDATE booking_aliases SET uid = 'forgotten-' || id"))
        db.session.execute(text("UPDATE appointments SET sync_key = gen_random_uuid()"))
        db.session.commit()

    run(desk)
    assert incidents(desk) == [("ours_empty", None)]
    assert len(desk.appointments()) == 20

    done = settle(desk, flag_them)
    assert done.only_there_count == 20
    assert orphans(desk) == 20


def test_a_missing_one_that_is_there_at_the_second_look_is_never_flagged(desk: Desk) -> None:
    [pair, _] = fill_calendar(desk.company, desk.cal, 2)
    desk.cal.vanish(pair.uid)

    done = run(desk)
    desk.cal.book(
        eventTypeId=desk.company.event_type_id,
        start=pair.starts_at.isoformat(),
        uid=pair.uid,
        silent=True,
    )
    let_time_pass(desk)

    assert done.missing_count == 1
    assert (orphans(desk), desk.open_findings()) == (0, [])
    assert desk.appointment(pair.id).calcom_sync_status is SyncState.SYNCED


def test_what_is_known_to_be_missing_brakes_no_later_run(desk: Desk) -> None:
    for pair in fill_calendar(desk.company, desk.cal, 12):
        desk.cal.vanish(pair.uid)
    run(desk)
    assert settle(desk, flag_them).flagged_count == 12

    clock.advance(timedelta(hours=6))
    later = run(desk, RunScope.SCHEDULED)

    assert (later.status.value, later.flagged_count) == ("done", 0)
    assert incidents(desk) == [("theirs_empty", "flagged")]
    assert orphans(desk) == 12


def test_a_window_in_which_nothing_is_booked_is_no_side_suddenly_empty(desk: Desk) -> None:
    """Closed for five weeks, as every summer."""
    fill_calendar(desk.company, desk.cal, 10, first=in_days(-60))
    assert run(desk).compared_count == 10

    clock.advance(timedelta(hours=6))
    slot = run(desk, RunScope.SCHEDULED)

    assert (slot.status.value, incidents(desk)) == ("done", [])


def test_a_run_that_looks_less_far_back_settles_nothing_by_itself(desk: Desk) -> None:
    gone = fill_calendar(desk.company, desk.cal, 10, first=in_days(-60))
    fill_calendar(desk.company, desk.cal, 2)
    for pair in gone:
        desk.cal.vanish(pair.uid)
    assert run(desk).error_code == "VERIFICATION_UNTRUSTED"

    clock.advance(timedelta(hours=6))
    assert run(desk, RunScope.SCHEDULED).status.value == "done"

    assert incidents(desk) == [("too_many_missing", None)]


def test_a_run_with_looks_that_failed_settles_nothing_by_itself(
    desk: Desk, full: list[Pair]
) -> None:
    desk.cal.fail({"kind": "empty_list", "operation": LISTING})
    run(desk)
    desk.cal.vanish(full[0].uid)
    desk.cal.fail({"kind": "status", "status": 503, "operation": "bookings.get"})

    later = run(desk)

    assert (later.status.value, later.error_count) == ("done", 1)
    assert incidents(desk) == [("theirs_empty", None)]
