"""The doctor finds a sound house sound, and each broken one by its name; on real servers."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskCliRunner
from redis import Redis
from sqlalchemy import Engine, inspect, text

from tests.desk import Desk
from tests.factories import make_person
from webapp import clock, create_app
from webapp.extensions import db
from webapp.jobs import doctor, schedule
from webapp.jobs.doctor.companies import NEEDED
from webapp.jobs.queues import hand_over
from webapp.jobs.sealing import seal
from webapp.models.audit import record_audit
from webapp.models.chat_channel import ChatChannel
from webapp.models.company import Company, Secret
from webapp.models.heartbeat import Heartbeat, ProcessKind, record_heartbeat
from webapp.models.notification import NotificationType
from webapp.models.tenancy import as_company
from webapp.models.user import Role, User
from webapp.models.vault import Vault
from webapp.notify.inbox import tell
from webapp.sandbox.server import RunningSandbox
from webapp.settings import Settings, parse_encryption_keys

OTHER_KEY = "2:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="


def beat(kind: ProcessKind, name: str) -> None:
    now = clock.now()
    sign = Heartbeat(
        name=name,
        kind=kind,
        host="here",
        pid=1,
        queues=[],
        started_at=now,
        seen_at=now,
        job_id=None,
        is_leader=kind is ProcessKind.SCHEDULER,
    )
    record_heartbeat(db.session(), sign)
    db.session.commit()


def breathe(redis: Redis) -> None:
    """What a living worker and a leading scheduler leave behind."""
    beat(ProcessKind.WORKER, "worker")
    beat(ProcessKind.SCHEDULER, "scheduler")
    schedule.assert_list(redis)


@pytest.fixture
def desk(engine: Flask, sandbox: RunningSandbox, redis: Redis) -> Desk:
    """A sound house: one company, connected, with its webhook and an admin."""
    desk = Desk(sandbox)
    make_person(desk.company, Role.ADMIN)
    register_webhook(desk)
    breathe(redis)
    return desk


def register_webhook(desk: Desk, **changes: Any) -> None:
    body = {
        "account": "sonnenschein@cal.test",
        "subscriberUrl": f"http://127.0.0.1:8000/webhooks/calcom/{desk.company.webhook_token}",
        "triggers": sorted(NEEDED),
        "secret": "secret",
        "active": True,
    }
    desk.cal.put("webhooks", {**body, **changes})


def findings(app: Flask) -> dict[str, dict[str, Any]]:
    """What isn't ok, by check; the exit code goes by what failed."""
    runner: FlaskCliRunner = app.test_cli_runner()
    done = runner.invoke(args=["doctor", "--json"])
    found: list[dict[str, Any]] = json.loads(done.output)
    has_failed = any(each["verdict"] == "fail" for each in found)
    assert done.exit_code == (1 if has_failed else 0)
    for each in found:
        assert bool(each["advice"]) is (each["verdict"] != "ok"), "what to do, where there is"
    return {each["check"]: each for each in found if each["verdict"] != "ok"}


def failures(app: Flask) -> dict[str, str]:
    found = findings(app)
    return {name: each["said"] for name, each in found.items() if each["verdict"] == "fail"}


def test_a_sound_house_is_sound(desk: Desk, app: Flask) -> None:
    assert set(findings(app)) == {"settings", "mail"}
    done = app.test_cli_runner().invoke(args=["doctor"])
    assert done.exit_code == 0
    assert done.output.endswith("sound\n")


def test_it_changes_nothing(desk: Desk, app: Flask, owner_engine: Engine) -> None:
    with as_company(desk.company.id):
        company = db.session.get_one(Company, desk.company.id)
        company.set_secret(Secret.API_KEY, "cal_wrong", app.extensions["vault"])
        db.session.commit()
    before = everything(owner_engine)
    assert any(each.check == "calcom" for each in doctor.examine() if each.verdict == "fail")
    assert everything(owner_engine) == before


def everything(owner_engine: Engine) -> dict[str, str]:
    """Every table → a hash over all its rows, with when each was last written."""
    rows = "SELECT coalesce(md5(string_agg(t::text || t.xmin, ',' ORDER BY t::text)), '') FROM"
    with owner_engine.connect() as connection:
        return {
            table: str(connection.scalar(text(f'{rows} "{table}" t')))
            for table in inspect(connection).get_table_names()
        }


# --- the house -----------------------------------------------------------------------------------


@pytest.fixture
def configured(redis: Redis) -> Iterator[Callable[[str, str], None]]:
    """Settings of the running Redis, put back at the end."""
    before: dict[str, str] = {}

    def configure(name: str, value: str) -> None:
        before[name] = redis.config_get(name)[name]
        redis.config_set(name, value)

    yield configure
    for name, value in before.items():
        redis.config_set(name, value)


def test_a_proxy_that_is_not_trusted(
    desk: Desk, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All people would have its address: one's wrong passwords would keep all out."""
    https = {"public_url": "https://desk.example.com", "session_cookie_secure": True}
    for proxies, is_told in ((0, True), (1, False)):
        changed = app.extensions["settings"].model_copy(
            update={**https, "trusted_proxies": proxies, "allow_private_networks": False}
        )
        monkeypatch.setitem(app.extensions, "settings", changed)
        said = findings(app).get("settings", {"advice": ""})
        assert ("TRUSTED_PROXIES" in said["advice"]) is is_told


def test_a_redis_that_throws_jobs_away(
    desk: Desk, app: Flask, configured: Callable[[str, str], None]
) -> None:
    configured("maxmemory-policy", "allkeys-lru")

    assert failures(app) == {
        "redis-eviction": "maxmemory-policy is allkeys-lru: queued jobs may be thrown away"
    }


def test_a_redis_that_is_full(
    desk: Desk, app: Flask, redis: Redis, configured: Callable[[str, str], None]
) -> None:
    configured("maxmemory", str(int(redis.info()["used_memory"] * 1.05)))

    assert set(failures(app)) == {"redis-memory"}


def test_a_redis_that_is_away(desk: Desk, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = app.extensions["settings"].model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    monkeypatch.setitem(app.extensions, "settings", nowhere)

    assert set(failures(app)) == {"redis"}


def test_a_database_that_is_away(settings: Settings, redis: Redis) -> None:
    nowhere = settings.model_copy(
        update={"database_url": "postgresql+psycopg://lockstep_app:x@127.0.0.1:1/lockstep"}
    )

    assert set(failures(create_app(nowhere))) == {"database"}


def test_migrations_that_are_missing(desk: Desk, app: Flask, owner_engine: Engine) -> None:
    with owner_engine.begin() as connection:
        head = connection.scalar(text("SELECT version_num FROM alembic_version"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0004'"))
    try:
        found = failures(app)
    finally:
        with owner_engine.begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = :n"), {"n": head})

    assert found == {"migrations": f"at 0004, this version needs {head}"}


def test_a_role_that_owns_the_tables_is_named_by_the_start(settings: Settings) -> None:
    """No command can be had with it, the doctor as little as another."""
    owner = settings.model_copy(update={"database_url": settings.database_owner_url})

    with pytest.raises(SystemExit) as refusal:
        create_app(owner)

    assert "the role in DATABASE_URL owns tables" in str(refusal.value)


def test_a_bad_setting_is_named_by_the_start(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "ENCRYPTION_KEYS"):
        monkeypatch.setenv(name, str(getattr(settings, name.lower())))
    monkeypatch.setenv("KEEP_AUDIT_DAYS", "3")

    with pytest.raises(SystemExit) as refusal:
        create_app()

    assert "KEEP_AUDIT_DAYS" in str(refusal.value)


# --- the work ------------------------------------------------------------------------------------


def remove_sign(owner_engine: Engine, name: str) -> None:
    with owner_engine.begin() as connection:
        connection.execute(text("DELETE FROM heartbeats WHERE name = :name"), {"name": name})


def test_no_worker(desk: Desk, app: Flask, owner_engine: Engine) -> None:
    remove_sign(owner_engine, "worker")

    assert failures(app) == {"workers": "no worker lives"}


def test_no_scheduler(desk: Desk, app: Flask, owner_engine: Engine) -> None:
    remove_sign(owner_engine, "scheduler")

    assert set(failures(app)) == {"scheduler"}


def test_a_worker_that_fell_silent(desk: Desk, app: Flask, redis: Redis) -> None:
    beat(ProcessKind.WORKER, "the-dead")
    clock.advance(timedelta(minutes=2))
    beat(ProcessKind.WORKER, "worker")
    beat(ProcessKind.SCHEDULER, "scheduler")

    found = findings(app)["workers"]

    assert (found["verdict"], found["said"]) == ("warn", "1 live, fell silent: the-dead")


def test_a_clock_without_its_list(desk: Desk, app: Flask, redis: Redis) -> None:
    redis.flushall()

    assert set(failures(app)) == {"schedule"}


def test_work_that_nobody_carries_out(desk: Desk, app: Flask, redis: Redis) -> None:
    desk.book()
    clock.advance(timedelta(minutes=10))
    refresh(redis)

    assert failures(app) == {"work": "1 overdue by 5 minutes and more: push"}


def test_a_queue_that_is_not_emptied(desk: Desk, app: Flask, redis: Redis) -> None:
    hand_over("push", desk.company.id, 1)
    clock.advance(timedelta(minutes=10))
    refresh(redis)

    assert failures(app) == {"queues": "something has waited for 5 minutes in: people"}


def refresh(redis: Redis) -> None:
    """The processes live on at the new time; the clock's list goes by the machine's own."""
    breathe(redis)
    for entry in redis.zrange("rq:scheduler:scheduled_jobs", 0, -1):
        redis.zadd("rq:scheduler:scheduled_jobs", {entry: clock.now().timestamp()})


# --- the companies -------------------------------------------------------------------------------


def change_company(desk: Desk, act: Callable[[Company], None]) -> None:
    with as_company(desk.company.id):
        act(db.session.get_one(Company, desk.company.id))
        db.session.commit()


def test_a_key_that_calcom_refuses(desk: Desk, app: Flask) -> None:
    vault: Vault = app.extensions["vault"]
    change_company(desk, lambda row: row.set_secret(Secret.API_KEY, "cal_wrong", vault))

    assert failures(app) == {"calcom": "refuses the key"}


def test_a_calcom_that_does_not_answer(desk: Desk, app: Flask) -> None:
    desk.cal.fail({"kind": "status", "status": 503})

    assert failures(app) == {"calcom": "can't be asked: HTTP_503"}


def test_secrets_whose_key_is_gone(desk: Desk, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(app.extensions, "vault", Vault(parse_encryption_keys(OTHER_KEY)))

    found = failures(app)

    assert found["secrets"].startswith("can't be opened: calcom_api_key: its key is not in")


def test_secrets_sealed_with_an_older_key_are_resealed(
    desk: Desk, app: Flask, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with as_company(desk.company.id):
        channel = ChatChannel(
            company_id=desk.company.id, name="T", kind="J", created_at=clock.now()
        )
        channel.set_address("json://127.0.0.1/x", app.extensions["vault"])
        db.session.add(channel)
        db.session.commit()
    keys = f"{OTHER_KEY},{settings.encryption_keys}"
    monkeypatch.setitem(app.extensions, "vault", Vault(parse_encryption_keys(keys)))
    assert findings(app)["secrets"]["said"] == "4 sealed with an older key"

    done = app.test_cli_runner().invoke(args=["secrets", "reseal"])

    assert done.output == "sonnenschein: 4 resealed\n"
    monkeypatch.setitem(app.extensions, "vault", Vault(parse_encryption_keys(OTHER_KEY)))
    assert failures(app) == {}, "the old key can go, and Cal.com takes what was kept"
    again = app.test_cli_runner().invoke(args=["secrets", "reseal"])
    assert again.output == "sonnenschein: 0 resealed\n"


def test_secrets_that_cannot_be_opened_are_left_as_they_are(
    desk: Desk, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(app.extensions, "vault", Vault(parse_encryption_keys(OTHER_KEY)))
        done = app.test_cli_runner().invoke(args=["secrets", "reseal"])
        assert done.exit_code == 1

    assert failures(app) == {}


def test_a_webhook_that_is_not_registered(
    engine: Flask, sandbox: RunningSandbox, redis: Redis
) -> None:
    desk = Desk(sandbox)
    make_person(desk.company, Role.MANAGER)
    breathe(redis)

    assert failures(engine) == {"webhook": "isn't registered on Cal.com"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"active": False}, "is switched off on Cal.com"),
        (
            {"triggers": sorted(NEEDED - {"BOOKING_CANCELLED", "BOOKING_REJECTED"})},
            "isn't registered for BOOKING_CANCELLED, BOOKING_REJECTED",
        ),
    ],
)
def test_a_webhook_that_tells_too_little(
    engine: Flask, sandbox: RunningSandbox, redis: Redis, change: dict[str, Any], said: str
) -> None:
    desk = Desk(sandbox)
    make_person(desk.company)
    register_webhook(desk, **change)
    breathe(redis)

    assert failures(engine) == {"webhook": said}


def test_a_webhook_that_fell_silent(desk: Desk, app: Flask) -> None:
    def fall_silent(company: Company) -> None:
        company.webhook_silent_since = clock.now()

    change_company(desk, fall_silent)

    found = findings(app)["webhook-silence"]
    assert (found["verdict"], found["company"]) == ("warn", "sonnenschein")
    assert failures(app) == {}, "what changes there is read all the same"


def test_a_company_with_nobody_to_tell(desk: Desk, app: Flask) -> None:
    make_person(desk.company, Role.STAFF)
    with as_company(desk.company.id):
        db.session.query(User).filter_by(role=Role.ADMIN).one().is_enabled = False
        db.session.commit()

    assert failures(app) == {"recipients": "nobody is told: no admin and no manager"}


def test_a_channel_that_fails(desk: Desk, app: Flask) -> None:
    with as_company(desk.company.id):
        tell(db.session(), NotificationType.CHANNEL_FAILED, "mail", now=clock.now())
        db.session.commit()

    assert set(failures(app)) == {"channels"}


def test_an_audit_log_that_was_changed(desk: Desk, app: Flask, owner_engine: Engine) -> None:
    with as_company(desk.company.id):
        record_audit(db.session(), "one", "x", at=clock.now())
        db.session.commit()
    seal(desk.company.id, desk.company.id)
    with owner_engine.begin() as connection:
        connection.execute(text("UPDATE audit_entries SET action = 'another'"))

    assert failures(app) == {"audit": "entry 1 was changed"}


def test_a_paused_company_with_an_open_breaker_is_no_failure(desk: Desk, app: Flask) -> None:
    desk.cal.fail({"kind": "status", "status": 503})
    for _ in range(6):
        desk.book()
    desk.work()
    desk.cal.heal()
    desk.pause()

    found = findings(app)

    assert {"pause", "breaker", "calcom"} <= set(found)
    assert {each["verdict"] for each in found.values()} == {"warn"}


def test_without_any_company_it_says_what_comes_next(engine: Flask, redis: Redis) -> None:
    breathe(redis)

    assert findings(engine)["companies"]["advice"] == "make one: `company create`"


def test_the_workers_command_exits_by_whether_work_is_carried_out(
    desk: Desk, app: Flask, owner_engine: Engine
) -> None:
    runner = app.test_cli_runner()
    shown = runner.invoke(args=["workers"])
    assert shown.exit_code == 0, shown.output
    assert "scheduler (leads)" in shown.output

    remove_sign(owner_engine, "worker")

    assert runner.invoke(args=["workers"]).exit_code == 1
    remove_sign(owner_engine, "scheduler")
    assert "no worker and no scheduler" in runner.invoke(args=["workers"]).output
