"""Each symptom of docs/troubleshooting.md: produced, found with the guide's command, cured with its
cure. What the doctor alone finds is in test_doctor.py."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from redis import Redis
from rq import SimpleWorker
from rq.serializers import JSONSerializer
from sqlalchemy import Engine, text

from tests.desk import Desk, in_days
from tests.factories import Person, make_person
from tests.notify.conftest import ChatRoom, Postbox, add_channel, chat_room, postbox
from tests.sync.conftest import deaf_door, door
from tests.test_doctor import beat, refresh, register_webhook
from webapp import clock, create_app
from webapp.extensions import db
from webapp.jobs import push, queues, schedule
from webapp.jobs.inline import work_off_due
from webapp.models.company import Company, ConnectionState
from webapp.models.discrepancy import Action, Discrepancy
from webapp.models.heartbeat import ProcessKind
from webapp.models.tenancy import as_company
from webapp.models.user import Role
from webapp.sandbox.server import RunningSandbox
from webapp.settings import Settings
from webapp.sync.settlement import settle_finding

__all__ = ["chat_room", "deaf_door", "door", "postbox"]

GUIDE = (Path(__file__).parents[1] / "docs" / "troubleshooting.md").read_text()


class Operator:
    """Types commands; each has to stand in the guide, under the symptom that is tried."""

    def __init__(self, app: Flask, symptom: str) -> None:
        self._runner: FlaskCliRunner = app.test_cli_runner()
        first, *chapters = GUIDE.split("\n## ")
        found = [each for each in chapters if each.startswith(f"{symptom}\n")]
        assert found, f"docs/troubleshooting.md has no chapter '{symptom}'"
        self._chapter = first + found[0]

    def type(self, *words: str, exit_code: int = 0, typed: str = "") -> str:
        command = " ".join(word for word in words[:2] if not word.startswith("-"))
        assert command.replace("sonnenschein", "").strip() in self._chapter, command
        done = self._runner.invoke(args=list(words), input=typed)
        assert done.exit_code == exit_code, done.output
        assert "Traceback" not in done.output
        return done.output


@pytest.fixture
def desk(engine: Flask, sandbox: RunningSandbox, redis: Redis) -> Desk:
    desk = Desk(sandbox)
    make_person(desk.company, Role.ADMIN)
    return desk


def let_worker_work(redis: Redis) -> None:
    SimpleWorker(
        [queues.queue(name, redis) for name in queues.NAMES],
        connection=redis,
        job_class=queues.JsonJob,
        serializer=JSONSerializer,
    ).work(burst=True, logging_level="CRITICAL")


@pytest.fixture
def behind(app: Flask, owner_engine: Engine) -> Iterator[None]:
    """A database that the last migration has not reached."""
    with owner_engine.begin() as connection:
        head = connection.scalar(text("SELECT version_num FROM alembic_version"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0011'"))
    yield
    with owner_engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :n"), {"n": head})


@pytest.mark.usefixtures("behind")
def test_a_migration_fails_for_want_of_the_owner(app: Flask, settings: Settings) -> None:
    nobody = create_app(settings.model_copy(update={"database_owner_url": None}))
    operator = Operator(nobody, "A migration fails")

    said = operator.type("doctor", exit_code=1)
    assert "migrations: at 0011, this version needs" in said
    failed = nobody.test_cli_runner().invoke(args=["db", "upgrade"])
    assert failed.exit_code != 0
    assert "Migrations need DATABASE_OWNER_URL" in f"{failed.output}{failed.exception}"
    assert app.test_client().get("/readyz").status_code == 503


def test_jobs_do_not_move_without_a_worker(desk: Desk, app: Flask, redis: Redis) -> None:
    operator = Operator(app, "Jobs are not moving")
    beat(ProcessKind.SCHEDULER, "scheduler")
    schedule.assert_list(redis)
    appointment_id = desk.book()
    clock.advance(timedelta(minutes=10))
    beat(ProcessKind.SCHEDULER, "scheduler")
    operator.type("workers", exit_code=1)
    assert "work: 1 overdue" in operator.type("doctor", exit_code=1)

    beat(ProcessKind.WORKER, "worker")
    operator.type("pulse")
    let_worker_work(redis)

    operator.type("workers")
    assert desk.appointment(appointment_id).calcom_sync_status.value == "synced"


def test_jobs_that_failed_are_run_again_after_the_mend(
    desk: Desk, app: Flask, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator = Operator(app, "Jobs are not moving")
    desk.book()
    operator.type("pulse")
    with monkeypatch.context() as patch:
        patch.setattr(push, "push", lambda *_: 1 / 0)
        let_worker_work(redis)
    assert "ZeroDivisionError" in operator.type("queues", "failed")

    assert operator.type("queues", "retry-failed") == "1 queued again\n"
    let_worker_work(redis)

    assert operator.type("queues", "failed") == "nothing failed\n"
    assert len(desk.cal.live_bookings()) == 1


def test_an_emptied_redis_gets_its_list_back(desk: Desk, app: Flask, redis: Redis) -> None:
    operator = Operator(app, "Jobs are not moving")
    register_webhook(desk)
    beat(ProcessKind.WORKER, "worker")
    beat(ProcessKind.SCHEDULER, "scheduler")
    redis.flushall()
    assert "not on the clock's list" in operator.type("doctor", exit_code=1)

    schedule.assert_list(redis)

    operator.type("doctor")


def test_a_queue_is_full_of_rubbish(desk: Desk, app: Flask, redis: Redis) -> None:
    operator = Operator(app, "A queue fills up")
    for number in range(1000, 1020):
        queues.hand_over("run", desk.company.id, number)
    appointment_id = desk.book()
    assert re.search(r"verification +20 ", operator.type("queues", "list"))

    operator.type("queues", "clear", "verification", "--yes")

    assert re.search(r"verification +0 ", operator.type("queues", "list"))
    app.test_cli_runner().invoke(args=["pulse"])
    let_worker_work(redis)
    assert desk.appointment(appointment_id).calcom_sync_status.value == "synced"


NOT_REACHING = "Changes made here don't reach Cal.com"


def test_changes_wait_because_the_company_is_paused(desk: Desk, app: Flask) -> None:
    operator = Operator(app, NOT_REACHING)
    desk.pause()
    desk.book()
    desk.work()
    assert "paused by An admin" in operator.type("company", "status", "sonnenschein")

    operator.type("resume", "sonnenschein")
    desk.work()

    assert len(desk.cal.live_bookings()) == 1


def test_changes_wait_because_the_breaker_is_open(desk: Desk, app: Flask) -> None:
    operator = Operator(app, NOT_REACHING)
    desk.cal.fail({"kind": "status", "status": 503})
    for hour in range(8, 14):
        desk.book(in_days(2, hour))
    desk.work()
    desk.cal.heal()
    assert "breaker open until" in operator.type("company", "status", "sonnenschein")
    assert "open" in operator.type("breaker", "show", "sonnenschein")

    operator.type("breaker", "reset", "sonnenschein")
    desk.work()

    assert len(desk.cal.live_bookings()) == 6


def test_changes_wait_because_the_key_is_refused(desk: Desk, app: Flask) -> None:
    operator = Operator(app, NOT_REACHING)
    connect = ["company", "connect", "sonnenschein", "--base-url", f"{desk.url}/v2"]
    operator.type(*connect, typed="cal_wrong\n\n", exit_code=1)
    first = desk.book()
    desk.work()
    assert "connection broken" in operator.type("company", "status", "sonnenschein")

    operator.type(*connect, typed="cal_sonnenschein\n\n")
    desk.work_through(120, step=30)

    assert desk.appointment(first).calcom_sync_status.value == "synced"
    with as_company(desk.company.id):
        company = db.session.get_one(Company, desk.company.id)
        assert company.connection_state is ConnectionState.OK


def test_one_change_was_refused_and_its_history_says_why(desk: Desk, app: Flask) -> None:
    operator = Operator(app, NOT_REACHING)
    desk.forget_event_type()
    appointment_id = str(desk.book())
    desk.work()

    said = operator.type("appointment", "history", "sonnenschein", appointment_id)

    assert re.search(r"push_failed .*code=NO_EVENT_TYPE", said)


def test_a_second_booking_is_found_and_cancelled(desk: Desk, app: Flask, admin_of: Person) -> None:
    operator = Operator(app, "Duplicates suspected")
    appointment_id = desk.book(in_days(3))
    desk.work()
    desk.cal.book(
        eventTypeId=desk.company.event_type_id,
        start=in_days(3, 15).isoformat(),
        attendee={"name": "Twice", "email": "twice@example.org", "timeZone": "Europe/Berlin"},
    )
    clock.advance(timedelta(minutes=10))
    history = operator.type("appointment", "history", "sonnenschein", str(appointment_id))
    assert history.count("calls=create, outcome=done") == 1, "ours was made once"

    operator.type("company", "verify", "sonnenschein")

    [(found, type_, _)] = desk.open_findings()
    assert type_ == "orphaned_calcom"
    with as_company(desk.company.id):
        finding = db.session.query(Discrepancy).filter_by(appointment_id=found).one()
        settle_finding(
            db.session(),
            finding.id,
            Action.CANCEL_REMOTE,
            now=clock.now(),
            user_id=admin_of.id,
            note="Twice",
        )
        db.session.commit()
    desk.work()
    assert len(desk.cal.live_bookings()) == 1


@pytest.mark.usefixtures("door")
def test_what_looks_like_a_loop_is_read_from_the_history_and_stopped(
    desk: Desk, app: Flask
) -> None:
    operator = Operator(app, "A loop suspected")
    appointment_id = desk.book()
    desk.settle()
    for day in (5, 6):
        desk.move(appointment_id, in_days(day))
        desk.settle()
        uid = desk.appointment(appointment_id).calcom_v2_booking_id
        desk.cal.change(str(uid), "reschedule", start=in_days(day, 15).isoformat())
        desk.settle()

    said = operator.type("appointment", "history", "sonnenschein", str(appointment_id))

    assert said.count("echo_suppressed") == 3, "each of our own changes came back once"
    assert len(re.findall(r"webhook_applied|push_back_suppressed", said)) >= 2
    assert len(re.findall(r"rescheduled +admin", said)) == 2
    app.test_cli_runner().invoke(args=["pause", "sonnenschein"])
    desk.move(appointment_id, in_days(7))
    desk.move(appointment_id, in_days(8))
    before = desk.cal.mails()
    desk.settle()
    assert desk.cal.mails() == before, "paused: nobody is mailed"
    operator.type("resume", "sonnenschein")
    desk.settle()
    assert len(desk.cal.mails()) == len(before) + 1, "the newest wish, once"


def test_a_webhook_that_was_not_registered_is_found_and_registered(
    desk: Desk, app: Flask, redis: Redis
) -> None:
    operator = Operator(app, "Webhooks are not arriving")
    beat(ProcessKind.WORKER, "worker")
    beat(ProcessKind.SCHEDULER, "scheduler")
    schedule.assert_list(redis)
    assert "isn't registered on Cal.com" in operator.type("doctor", exit_code=1)
    address = operator.type("company", "webhook", "sonnenschein").strip()

    register_webhook(desk, subscriberUrl=address)

    operator.type("doctor")


def test_what_webhooks_did_not_bring_is_read(desk: Desk, app: Flask, redis: Redis) -> None:
    operator = Operator(app, "Webhooks are not arriving")
    appointment_id = desk.book()
    desk.work()
    desk.start_run()
    work_off_due()
    uid = desk.appointment(appointment_id).calcom_v2_booking_id
    desk.cal.change(str(uid), "cancel", reason="Ill")
    clock.advance(timedelta(minutes=15))

    operator.type("schedule", "run", "delta", "sonnenschein")
    let_worker_work(redis)

    assert [type_ for _, type_, _ in desk.open_findings()] == ["data_mismatch"]


def test_nobody_is_told_and_then_somebody(
    engine: Flask, sandbox: RunningSandbox, redis: Redis
) -> None:
    desk = Desk(sandbox)
    register_webhook(desk)
    refresh(redis)
    operator = Operator(engine, "Notifications are missing")
    assert "nobody is told" in operator.type("doctor", exit_code=1)

    made = ["user", "create", "sonnenschein", "anna@example.org", "--name", "Anna"]
    operator.type(*made, typed="a long enough password\n")

    operator.type("doctor")


def test_mail_is_refused_and_then_taken(
    desk: Desk, app: Flask, admin_of: Person, postbox: Postbox
) -> None:
    operator = Operator(app, "Notifications are missing")
    test = ["message", "test", "sonnenschein", "--mail", admin_of.email]
    postbox.refusal = "550 no such mailbox"
    assert operator.type(*test, exit_code=1).startswith(("failed", "waiting"))

    postbox.refusal = None
    assert operator.type(*test) == "sent\n"

    assert postbox.recipients == [admin_of.email]


@pytest.fixture
def admin_of(desk: Desk) -> Person:
    return make_person(desk.company, Role.ADMIN)


def test_chat_is_away_and_then_there(desk: Desk, app: Flask, chat_room: ChatRoom) -> None:
    operator = Operator(app, "Notifications are missing")
    add_channel(app, desk.company, chat_room.address)
    test = ["message", "test", "sonnenschein", "--chat", "Team"]
    chat_room.status = 500
    assert operator.type(*test, exit_code=1).startswith("failed: CHAT_REFUSED")

    chat_room.status = 200
    assert operator.type(*test) == "sent\n"

    assert len(chat_room.posts) == 2


def test_a_check_is_begun_that_did_not_begin(desk: Desk, app: Flask, redis: Redis) -> None:
    operator = Operator(app, "Verification does nothing, or flags nothing")
    desk.book()
    desk.work()
    shown = operator.type("schedule", "list", "sonnenschein")
    assert re.search(r"sweep +\S+ +no ", shown)

    operator.type("schedule", "run", "sweep", "sonnenschein")
    let_worker_work(redis)

    shown = operator.type("schedule", "list", "sonnenschein")
    assert re.search(r"sweep +\S+ +yes ", shown)
