"""What is old is forgotten every night; what is young, open, waiting or referred to stays, and so
does what is another company's."""

import itertools
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from redis import Redis
from rq import SimpleWorker
from rq.serializers import JSONSerializer

from tests.factories import (
    Person,
    Tenant,
    make_appointment,
    make_bulk_action,
    make_delivery,
    make_discrepancy,
    make_notification,
    make_run,
    make_token,
)
from webapp import clock
from webapp.extensions import db
from webapp.jobs import cleaning, schedule
from webapp.jobs.queues import BULK, JsonJob, enqueue_cleaning, queue
from webapp.models.access_link import LIVES, AccessLink, LinkKind
from webapp.models.bulk import BulkAction, BulkItem
from webapp.models.company import Company
from webapp.models.crossing import prune_history
from webapp.models.delivery import Delivery, DeliveryStatus
from webapp.models.discrepancy import Discrepancy, Resolution
from webapp.models.history import EventKind, HistoryEvent, record_event
from webapp.models.idempotency_key import IdempotencyKey
from webapp.models.intent import Attempt, Intent, IntentKind, IntentStatus
from webapp.models.notification import Notification, NotificationType
from webapp.models.phone_answer import PhoneAnswer, PhoneChange
from webapp.models.remote_change import RemoteChange, RemoteChangeKind
from webapp.models.run import PeriodicSlot, Run, RunScope
from webapp.models.sending import Pace, Sending, SendingStatus
from webapp.models.tenancy import as_company
from webapp.models.user import Role
from webapp.settings import Settings
from webapp.sync.phone.memory import KEPT as PHONE_ANSWERS_KEPT
from webapp.sync.retention import LINKS_KEPT, SLOTS_KEPT

_numbers = itertools.count(1)

Make = Callable[[Tenant, Person, datetime], None]


def add(tenant: Tenant, *rows: Any) -> None:
    with as_company(tenant.id):
        db.session.add_all(rows)
        db.session.commit()


def count(tenant: Tenant, model: Any) -> int:
    with as_company(tenant.id):
        return db.session.query(model).filter(model.company_id == tenant.id).count()


def past_appointment(tenant: Tenant, at: datetime, **columns: Any) -> int:
    return make_appointment(tenant, starts_at=at, **columns)


def event(tenant: Tenant, _person: Person, at: datetime) -> None:
    appointment_id = past_appointment(tenant, at)
    with as_company(tenant.id):
        record_event(db.session(), appointment_id, EventKind.BOOKED, at=at)
        db.session.commit()


def attempt(tenant: Tenant, _person: Person, at: datetime) -> None:
    _attempt_of(tenant, at, status=IntentStatus.DONE, finished_at=at)


def _attempt_of(tenant: Tenant, at: datetime, **columns: Any) -> None:
    import uuid

    appointment_id = past_appointment(tenant, at)
    intent = Intent(
        appointment_id=appointment_id,
        kind=IntentKind.CREATE,
        origin="admin",
        created_at=at,
        due_at=at,
        **columns,
    )
    with as_company(tenant.id):
        db.session.add(intent)
        db.session.flush()
        db.session.add(Attempt(intent_id=intent.id, started_at=at, lease_token=uuid.uuid4()))
        db.session.commit()


def run(tenant: Tenant, _person: Person, at: datetime) -> None:
    make_run(tenant, started_at=at, finished_at=at)


def delivery(tenant: Tenant, _person: Person, at: datetime) -> None:
    make_delivery(tenant, received_at=at, finished_at=at)


def remote_change(tenant: Tenant, _person: Person, at: datetime) -> None:
    add(
        tenant,
        RemoteChange(
            uid=f"u{next(_numbers)}", kind=RemoteChangeKind.CREATED, changed_at=at, seen_at=at
        ),
    )


def sending(tenant: Tenant, person: Person, at: datetime) -> None:
    add(tenant, _sending(person, at, status=SendingStatus.SENT, finished_at=at))


def _sending(person: Person, at: datetime, **columns: Any) -> Sending:
    return Sending(user_id=person.id, pace=Pace.AT_ONCE, created_at=at, due_at=at, **columns)


def notification(_tenant: Tenant, person: Person, at: datetime) -> None:
    make_notification(person, created_at=at, last_at=at, closed_at=at)


def bulk_action(tenant: Tenant, person: Person, at: datetime) -> None:
    found = make_discrepancy(tenant)
    make_bulk_action(person, [found], created_at=at, finished_at=at, status="done")


def phone_answer(tenant: Tenant, _person: Person, at: datetime) -> None:
    add(
        tenant,
        PhoneAnswer(
            call_id=f"c{next(_numbers)}",
            function=PhoneChange.BOOK,
            arguments_hash=b"x",
            appointment_id=past_appointment(tenant, at),
            answered_at=at,
            answer={},
        ),
    )


def idempotency_key(tenant: Tenant, _person: Person, at: datetime) -> None:
    token = make_token(tenant)
    add(
        tenant,
        IdempotencyKey(
            token_id=token.id,
            key=f"k{next(_numbers)}",
            request_hash=b"x",
            created_at=at,
            status=201,
            answer={"body": "{}"},
        ),
    )


def access_link(tenant: Tenant, _person: Person, at: datetime) -> None:
    email = f"guest{next(_numbers)}@example.org"
    add(
        tenant,
        AccessLink(
            kind=LinkKind.INVITATION,
            role=Role.STAFF,
            email=email,
            email_folded=email,
            created_at=at - LIVES[LinkKind.INVITATION],
            expires_at=at,
        ),
    )


def slot(tenant: Tenant, _person: Person, at: datetime) -> None:
    add(tenant, PeriodicSlot(company_id=tenant.id, task="delta", slot=f"{at}", taken_at=at))


KINDS: dict[str, tuple[Make, Any, str]] = {
    "history": (event, HistoryEvent, "keep_history_days"),
    "attempts": (attempt, Attempt, "keep_attempts_days"),
    "runs": (run, Run, "keep_runs_days"),
    "deliveries": (delivery, Delivery, "keep_deliveries_days"),
    "remote_changes": (remote_change, RemoteChange, "keep_deliveries_days"),
    "sendings": (sending, Sending, "keep_sendings_days"),
    "notifications": (notification, Notification, "keep_notifications_days"),
    "bulk_actions": (bulk_action, BulkAction, "keep_bulk_actions_days"),
    "phone_answers": (phone_answer, PhoneAnswer, ""),
    "idempotency_keys": (idempotency_key, IdempotencyKey, ""),
    "access_links": (access_link, AccessLink, ""),
    "periodic_slots": (slot, PeriodicSlot, ""),
}
CONSTANT = {
    "phone_answers": PHONE_ANSWERS_KEPT,
    "access_links": LINKS_KEPT,
    "periodic_slots": SLOTS_KEPT,
}


def kept(name: str, settings: Settings) -> timedelta:
    if name == "idempotency_keys":
        return timedelta(hours=settings.api_idempotency_hours)
    return CONSTANT.get(name) or timedelta(days=getattr(settings, KINDS[name][2]))


def clean(tenant: Tenant) -> dict[str, int]:
    return cleaning.clean(tenant.id, tenant.id)


@pytest.fixture
def acting(engine: Flask, company: Tenant) -> Tenant:
    return company


def test_every_kind_has_its_case(acting: Tenant) -> None:
    from webapp.sync.retention import kinds

    assert set(kinds(cleaning.retention())) == {*KINDS, "evidence"}


@pytest.mark.parametrize("name", KINDS)
def test_the_old_goes_the_young_stays_and_anothers_too(
    acting: Tenant,
    other_company: Tenant,
    admin: Person,
    stranger: Person,
    settings: Settings,
    name: str,
) -> None:
    make, model, _ = KINDS[name]
    old = clock.now() - kept(name, settings) - timedelta(hours=1)
    make(acting, admin, old)
    make(acting, admin, old + timedelta(hours=2))
    make(other_company, stranger, old)

    forgotten = clean(acting)

    assert forgotten[name] == 1
    assert count(acting, model) == 1
    assert count(other_company, model) == 1
    others = {kind: number for kind, number in forgotten.items() if kind != name}
    assert not any(others.values()), others


LONG_AGO = timedelta(days=4000)


def test_the_timeline_of_what_is_to_come_or_flagged_stays(acting: Tenant) -> None:
    long_ago = clock.now() - LONG_AGO
    to_come = make_appointment(acting)
    flagged = past_appointment(acting, long_ago, flagged=True)
    with as_company(acting.id):
        for appointment_id in (to_come, flagged):
            record_event(db.session(), appointment_id, EventKind.BOOKED, at=long_ago)
        db.session.commit()

    clean(acting)

    assert count(acting, HistoryEvent) == 2


def test_the_database_forgets_no_young_history_whatever_it_is_told(
    acting: Tenant, admin: Person
) -> None:
    event(acting, admin, clock.now() - timedelta(days=29))

    with as_company(acting.id):
        assert prune_history(db.session(), clock.now() + timedelta(days=1), 100) == 0


def test_tries_at_a_change_that_still_waits_stay(acting: Tenant) -> None:
    _attempt_of(acting, clock.now() - LONG_AGO, status=IntentStatus.WAITING)

    clean(acting)

    assert count(acting, Attempt) == 1


def test_a_running_run_and_the_newest_of_each_scope_stay(acting: Tenant) -> None:
    long_ago = clock.now() - LONG_AGO
    for scope in RunScope:
        make_run(acting, scope=scope, started_at=long_ago, finished_at=long_ago)
        make_run(acting, scope=scope, started_at=long_ago - timedelta(days=1), finished_at=long_ago)
    make_run(acting, is_running=True, started_at=long_ago - timedelta(days=2), lease_until=long_ago)

    clean(acting)

    with as_company(acting.id):
        left = db.session.query(Run.status, Run.scope, Run.started_at).all()
    assert sum(row.status == "running" for row in left) == 1
    done = [row for row in left if row.status != "running"]
    assert sorted(row.scope for row in done) == sorted(RunScope)
    assert {row.started_at for row in done} == {long_ago}


def test_a_webhook_that_waits_stays(acting: Tenant) -> None:
    long_ago = clock.now() - LONG_AGO
    make_delivery(acting, received_at=long_ago, status=DeliveryStatus.RECEIVED, finished_at=None)

    clean(acting)

    assert count(acting, Delivery) == 1


def test_a_message_on_its_way_stays(acting: Tenant, admin: Person) -> None:
    add(acting, _sending(admin, clock.now() - LONG_AGO, status=SendingStatus.WAITING))

    clean(acting)

    assert count(acting, Sending) == 1


def test_an_open_item_of_the_inbox_stays_though_it_was_read(acting: Tenant, admin: Person) -> None:
    long_ago = clock.now() - LONG_AGO
    make_notification(admin, created_at=long_ago, last_at=long_ago, read_at=long_ago)

    clean(acting)

    assert count(acting, Notification) == 1


@pytest.mark.parametrize(
    ("type_", "parameters"),
    [
        (NotificationType.BULK_FINISHED, {}),
        (NotificationType.BOOKING_ADOPTED, {}),
        (NotificationType.THRESHOLD_CROSSED, {"is_over": True}),
    ],
)
def test_news_that_nothing_will_ever_be_over_for_goes(
    acting: Tenant, admin: Person, type_: NotificationType, parameters: dict[str, Any]
) -> None:
    long_ago = clock.now() - LONG_AGO
    make_notification(
        admin, type=type_, parameters=parameters, created_at=long_ago, last_at=long_ago
    )

    clean(acting)

    assert count(acting, Notification) == 0


def test_a_bulk_action_goes_with_its_items_and_a_running_one_stays(
    acting: Tenant, admin: Person
) -> None:
    long_ago = clock.now() - LONG_AGO
    bulk_action(acting, admin, long_ago)
    make_bulk_action(admin, [make_discrepancy(acting)], created_at=long_ago)

    clean(acting)

    assert count(acting, BulkAction) == count(acting, BulkItem) == 1
    assert count(acting, Discrepancy) == 2


def test_of_what_was_settled_long_ago_only_the_evidence_goes(
    acting: Tenant, settings: Settings
) -> None:
    old = clock.now() - timedelta(days=settings.keep_evidence_days, hours=1)
    evidence = {"fields": {"status": {"ours": "confirmed"}}}
    settled = {"resolution": Resolution.DISMISSED, "resolution_note": "Why", "evidence": evidence}
    gone = make_discrepancy(acting, resolved_at=old, dismissed_facts="hash", **settled)
    young = make_discrepancy(acting, resolved_at=old + timedelta(hours=2), **settled)
    still_open = make_discrepancy(acting, opened_at=old, evidence=evidence)

    assert clean(acting)["evidence"] == 1
    assert clean(acting)["evidence"] == 0, "once"

    with as_company(acting.id):
        rows = {row.id: row for row in db.session.query(Discrepancy)}
    assert rows[gone].evidence == {}
    assert (rows[gone].resolution_note, rows[gone].dismissed_facts) == ("Why", "hash")
    assert rows[young].evidence == rows[still_open].evidence == evidence


def test_it_works_in_batches_and_goes_on_where_its_time_was_over(
    acting: Tenant,
    admin: Person,
    app: Flask,
    settings: Settings,
    redis: Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old = clock.now() - timedelta(days=settings.keep_deliveries_days + 1)
    for _ in range(7):
        delivery(acting, admin, old)
    small = settings.model_copy(update={"cleaning_batch": 3})
    monkeypatch.setitem(app.extensions, "settings", small)
    left = [0.0, 0.0, 200.0]
    forget = cleaning.clean

    def clean_in_a_hurry(*ids: int) -> dict[str, int]:
        monkeypatch.setattr(cleaning, "BUDGET_SECONDS", left.pop(0))
        return forget(*ids)

    monkeypatch.setattr(cleaning, "clean", clean_in_a_hurry)
    enqueue_cleaning(acting.id, acting.id)
    SimpleWorker(
        [queue(BULK, redis)], connection=redis, job_class=JsonJob, serializer=JSONSerializer
    ).work(burst=True, logging_level="CRITICAL")

    assert left == []
    assert count(acting, Delivery) == 0


def test_the_schedule_cleans_once_a_night_after_the_companys_hour(acting: Tenant) -> None:
    task = schedule.TASKS["cleaning"]
    with as_company(acting.id):
        zone = db.session.get_one(Company, acting.id).zone
        db.session.rollback()
    local = clock.now().astimezone(zone) + timedelta(days=1)
    before, after = (local.replace(hour=hour, minute=30) for hour in (2, 3))

    assert task.slot_at(before, zone) != task.slot_at(after, zone)
    with as_company(acting.id):
        assert schedule.begin_if_due(db.session(), task, after) == acting.id
        db.session.commit()
        assert schedule.begin_if_due(db.session(), task, after) is None
