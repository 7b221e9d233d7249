"""Bulk actions at work: what the preview says happens, few calls, stopping, deaths, rights."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import Engine, Select, select, text

from tests.chaos.deaths import BULK_POINTS, Killed, dying_at
from tests.desk import Desk
from tests.factories import Person, make_person
from tests.mismatches import make_mismatches
from tests.views.counting import count_statements
from webapp import clock
from webapp.extensions import db
from webapp.jobs.inline import run_job
from webapp.models.bulk import BulkAction, BulkItem, BulkStatus, ItemStatus, count_items
from webapp.models.discrepancy import Action, Discrepancy
from webapp.models.notification import Notification
from webapp.models.tenancy import as_company
from webapp.models.user import Role, User
from webapp.sandbox.server import RunningSandbox
from webapp.sync.bulk import Preview, cancel_bulk, preview_bulk, start_bulk


@pytest.fixture
def desk(engine: Flask, sandbox: RunningSandbox) -> Desk:
    return Desk(sandbox)


@pytest.fixture
def anna(desk: Desk) -> Person:
    return make_person(desk.company, Role.MANAGER)


@pytest.fixture
def small_batches(engine: Flask) -> Iterator[None]:
    """Batches of ten, so that a death or a stop comes in the middle of few."""
    usual = engine.extensions["settings"]
    engine.extensions["settings"] = usual.model_copy(update={"bulk_batch": 10})
    yield
    engine.extensions["settings"] = usual


def everything() -> Select[Discrepancy]:
    query = select(Discrepancy).join(Discrepancy.appointment)
    return query.where(Discrepancy.resolved_at.is_(None))


def preview(desk: Desk, kind: Action) -> Preview:
    with as_company(desk.company.id):
        return preview_bulk(db.session(), everything(), kind, now=clock.now(), most=50_000)


def start(desk: Desk, kind: Action, by: Person, *, most: int = 50_000, note: str = "") -> int:
    with as_company(desk.company.id):
        bulk_id = start_bulk(
            db.session(),
            everything(),
            kind,
            now=clock.now(),
            most=most,
            user_id=by.id,
            note=note or None,
        )
        db.session.commit()
    assert bulk_id is not None
    return bulk_id


def stand(desk: Desk, bulk_id: int) -> tuple[BulkStatus, dict[str, int]]:
    """How it stands, with the items that are anywhere."""
    with as_company(desk.company.id):
        bulk = db.session.get_one(BulkAction, (desk.company.id, bulk_id))
        counts = count_items(db.session(), bulk_id)
        assert sum(counts.values()) == bulk.item_count
        return bulk.status, {status.value: number for status, number in counts.items() if number}


def told(person: Person) -> list[tuple[str, dict[str, object]]]:
    with as_company(person.company_id):
        rows = db.session.scalars(select(Notification).where(Notification.user_id == person.id))
        return [(row.type.value, row.parameters) for row in rows]


def test_a_bulk_retry_settles_what_agrees_and_says_why_the_rest_does_not(
    desk: Desk, anna: Person
) -> None:
    bystander = make_person(desk.company, Role.ADMIN)
    make_mismatches(desk, righted=60, differing=15)
    assert preview(desk, Action.RETRY) == Preview(
        matching=75,
        offered=75,
        taken=75,
        by_type={"data_mismatch": 75},  # type: ignore[dict-item]
    )
    bulk_id = start(desk, Action.RETRY, anna)
    desk.work()
    assert stand(desk, bulk_id) == (BulkStatus.DONE, {"settled": 60, "still_open": 15})
    assert len(desk.open_findings()) == 15
    assert desk.cal.mails() == []
    [(kind, parameters)] = told(anna)
    assert kind == "bulk_finished"
    assert parameters["counts"]["settled"] == 60  # type: ignore[index]
    assert told(bystander) == []
    with as_company(desk.company.id):
        rows = db.session.execute(select(BulkItem.status, BulkItem.outcome))
        outcomes = {(row.status, row.outcome) for row in rows}
    assert outcomes == {
        (ItemStatus.SETTLED, "retried"),
        (ItemStatus.STILL_OPEN, "DATA_MISMATCH"),
    }


def test_neighbours_are_verified_by_a_listing_and_not_by_a_get_each(
    desk: Desk, anna: Person
) -> None:
    make_mismatches(desk, righted=100)
    start(desk, Action.RETRY, anna)
    desk.work()
    assert desk.open_findings() == []
    assert desk.cal.operations() == ["bookings.list", "bookings.list"]


def test_what_a_listing_does_not_show_is_asked_for_by_itself(desk: Desk, anna: Person) -> None:
    make_mismatches(desk, righted=12)
    desk.cal.fail({"kind": "truncated_list", "keep": 9})
    bulk_id = start(desk, Action.RETRY, anna)
    desk.work()
    assert stand(desk, bulk_id) == (BulkStatus.DONE, {"settled": 12})
    assert desk.cal.operations().count("bookings.get") == 3


def test_their_version_is_taken_of_many_as_it_is_read(desk: Desk, anna: Person) -> None:
    make_mismatches(desk, righted=2, differing=10)
    bulk_id = start(desk, Action.TAKE_REMOTE, anna)
    desk.work()
    assert stand(desk, bulk_id) == (BulkStatus.DONE, {"settled": 12})
    with as_company(desk.company.id):
        ways = list(db.session.scalars(select(Discrepancy.resolution).order_by(Discrepancy.id)))
    assert [way and way.value for way in ways] == ["retried"] * 2 + ["took_remote"] * 10


def test_pushes_of_many_mail_whom_the_preview_said(desk: Desk, anna: Person) -> None:
    make_mismatches(desk, righted=0, differing=8)
    shown = preview(desk, Action.KEEP_OURS)
    assert (shown.mails, shown.mailed_customers, shown.unreachable) == (8, 1, 0)
    bulk_id = start(desk, Action.KEEP_OURS, anna)
    desk.work_through(3)
    assert stand(desk, bulk_id) == (BulkStatus.DONE, {"settled": 8})
    assert desk.cal.mails() == ["rescheduled"] * 8
    intents = [intent for each in desk.appointments() for intent in desk.intents(each)]
    assert not any(intent.is_interactive for intent in intents)


def test_many_are_dismissed_with_one_reason(desk: Desk, anna: Person) -> None:
    make_mismatches(desk, righted=0, differing=5)
    bulk_id = start(desk, Action.DISMISS, anna, note="Old ones")
    desk.work_through(2)
    assert stand(desk, bulk_id) == (BulkStatus.DONE, {"settled": 5})
    with as_company(desk.company.id):
        rows = db.session.execute(
            select(Discrepancy.resolution_note, Discrepancy.resolved_by_user_id).distinct()
        )
        assert [tuple(row) for row in rows] == [("Old ones", anna.id)]
    assert desk.cal.operations() == []


@pytest.mark.usefixtures("small_batches")
def test_a_stopped_bulk_action_begins_nothing_more(desk: Desk, anna: Person) -> None:
    make_mismatches(desk, righted=40)
    bulk_id = start(desk, Action.RETRY, anna)
    with dying_at("bulk batch looked at, not concluded", at_passing=3), pytest.raises(Killed):
        run_job("bulk", desk.company.id, bulk_id)
    with as_company(desk.company.id):
        assert cancel_bulk(db.session(), bulk_id, now=clock.now(), user_id=anna.id)
        assert not cancel_bulk(db.session(), bulk_id, now=clock.now(), user_id=anna.id)
        db.session.commit()
    assert stand(desk, bulk_id)[1]["cancelled"] == 20
    desk.work_through(60, step=10)
    assert stand(desk, bulk_id) == (BulkStatus.CANCELLED, {"cancelled": 20, "settled": 20})
    assert len(desk.open_findings()) == 20


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("point", BULK_POINTS)
def test_a_bulk_action_whose_worker_dies_is_gone_on_with(
    desk: Desk, anna: Person, point: str
) -> None:
    make_mismatches(desk, righted=25, differing=10)
    bulk_id = start(desk, Action.RETRY, anna)
    with dying_at(point, at_passing=2) as death, pytest.raises(Killed):
        run_job("bulk", desk.company.id, bulk_id)
    assert death.has_struck
    before = stand(desk, bulk_id)[1]
    run_job("bulk", desk.company.id, bulk_id)
    assert stand(desk, bulk_id)[1] == before, "the dead worker's lease holds"
    desk.work_through(100, step=10)
    assert stand(desk, bulk_id) == (BulkStatus.DONE, {"settled": 25, "still_open": 10})
    assert told(anna) != []
    assert desk.events(desk.appointments()[0]).count("retry_requested") == 1


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("change", [{"is_enabled": False}, {"role": Role.STAFF}])
def test_rights_are_asked_again_while_it_runs(
    desk: Desk, anna: Person, change: dict[str, object]
) -> None:
    make_mismatches(desk, righted=30)
    bulk_id = start(desk, Action.RETRY, anna)
    with dying_at("bulk batch looked at, not concluded", at_passing=2), pytest.raises(Killed):
        run_job("bulk", desk.company.id, bulk_id)
    with as_company(desk.company.id):
        person = db.session.get_one(User, (desk.company.id, anna.id))
        for name, value in change.items():
            setattr(person, name, value)
        db.session.commit()
    desk.work_through(60, step=10)
    assert stand(desk, bulk_id) == (BulkStatus.DONE, {"settled": 10, "refused": 20})
    assert len(desk.open_findings()) == 20


def test_what_was_settled_meanwhile_is_refused_with_the_reason(desk: Desk, anna: Person) -> None:
    make_mismatches(desk, righted=3)
    bulk_id = start(desk, Action.KEEP_OURS, anna)
    other = start(desk, Action.RETRY, anna)
    run_job("bulk", desk.company.id, other)
    desk.work_through(3)
    assert stand(desk, bulk_id)[1] == {"refused": 3}
    assert desk.cal.mails() == []


def test_a_budget_that_is_spent_makes_it_wait(desk: Desk, anna: Person) -> None:
    make_mismatches(desk, righted=20)
    bulk_id = start(desk, Action.RETRY, anna)
    desk.cal.fail({"kind": "rate_limited", "reset_seconds": 20, "times": 1})
    desk.work()
    status, counts = stand(desk, bulk_id)
    assert (status, counts) == (BulkStatus.RUNNING, {"started": 20})
    desk.work_through(90, step=10)
    assert stand(desk, bulk_id) == (BulkStatus.DONE, {"settled": 20})


def test_a_listing_that_fails_is_read_again_before_anybody_is_told(
    desk: Desk, anna: Person
) -> None:
    make_mismatches(desk, righted=5)
    bulk_id = start(desk, Action.RETRY, anna)
    desk.cal.fail({"kind": "status", "status": 503, "operation": "bookings", "times": 1})
    desk.work_through(70, step=10)
    assert stand(desk, bulk_id) == (BulkStatus.DONE, {"settled": 5})


def test_a_refused_key_is_an_outcome(desk: Desk, anna: Person) -> None:
    make_mismatches(desk, righted=5)
    bulk_id = start(desk, Action.RETRY, anna)
    desk.cal.fail({"kind": "status", "status": 401})
    desk.work_through(2)
    assert stand(desk, bulk_id) == (BulkStatus.DONE, {"still_open": 5})


def test_the_oldest_are_taken_where_more_match_than_one_takes_on(desk: Desk, anna: Person) -> None:
    make_mismatches(desk, righted=6)
    bulk_id = start(desk, Action.RETRY, anna, most=4)
    desk.work()
    assert stand(desk, bulk_id) == (BulkStatus.DONE, {"settled": 4})


def test_ten_thousand_are_frozen_counted_and_stopped_in_a_few_statements(
    desk: Desk, anna: Person, owner_engine: Engine, engine: Flask
) -> None:
    [finding] = make_mismatches(desk, righted=1)
    with owner_engine.begin() as connection:
        for table in ("appointments", "discrepancies"):
            columns = [
                row[0]
                for row in connection.execute(
                    text(
                        "SELECT column_name FROM information_schema.columns WHERE table_name = :t"
                        " AND column_name NOT IN ('id', 'sync_key', 'appointment_id',"
                        " 'calcom_v2_booking_id')"
                    ),
                    {"t": table},
                )
            ]
            names = ", ".join(columns)
            own = {
                "appointments": (", sync_key", ", gen_random_uuid()"),
                "discrepancies": (", appointment_id", ", i + (SELECT min(id) FROM appointments)"),
            }[table]
            connection.execute(
                text(
                    f"INSERT INTO {table} ({names}{own[0]}) SELECT {names}{own[1]} FROM {table},"
                    f" generate_series(1, 9999) i WHERE {table}.id = (SELECT min(id) FROM {table})"
                )
            )
        # What autovacuum does within a minute of such growth; tests don't live that long.
        connection.execute(text("ANALYZE appointments, discrepancies"))
    with count_statements(engine) as sent:
        shown = preview(desk, Action.RETRY)
        bulk_id = start(desk, Action.RETRY, anna)
        with as_company(desk.company.id):
            cancel_bulk(db.session(), bulk_id, now=clock.now(), user_id=anna.id)
            db.session.commit()
    assert shown.taken == 10_000
    assert len(sent) < 20
    assert stand(desk, bulk_id)[1] == {"cancelled": 10_000}
    run_job("bulk", desk.company.id, bulk_id)
    assert stand(desk, bulk_id)[0] is BulkStatus.CANCELLED
    assert finding


def test_an_unforeseen_end_of_one_leaves_the_others_alone(
    desk: Desk, anna: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    from webapp.sync import bulk_work as sync_bulk

    make_mismatches(desk, righted=5)
    real, seen = sync_bulk.settle_finding, []

    def settle(*args: object, **kwargs: object) -> object:
        seen.append(1)
        if len(seen) == 2:
            raise RuntimeError("unforeseen")
        return real(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(sync_bulk, "settle_finding", settle)
    bulk_id = start(desk, Action.RETRY, anna)
    desk.work_through(2)
    assert stand(desk, bulk_id) == (BulkStatus.DONE, {"settled": 4, "failed": 1})


def test_another_companys_bulk_action_is_none_of_ours(desk: Desk, anna: Person) -> None:
    make_mismatches(desk, righted=2)
    bulk_id = start(desk, Action.RETRY, anna)
    from tests.factories import make_company

    other = make_company("blau")
    run_job("bulk", other.id, bulk_id)
    assert stand(desk, bulk_id)[1] == {"queued": 2}
    with as_company(other.id):
        assert not cancel_bulk(db.session(), bulk_id, now=clock.now(), user_id=anna.id)
        db.session.rollback()
    clock.advance(timedelta(seconds=1))
