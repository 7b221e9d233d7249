"""Signs of life: who lives, who fell silent, and nothing of it in the way of the work."""

import os
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import Engine, text

from webapp import clock
from webapp.extensions import db
from webapp.insight.workers import LIVING, count_living, living_workers, silent_workers
from webapp.jobs.heartbeats import Heart
from webapp.jobs.measures import living_by_kind
from webapp.models.heartbeat import KEPT, ProcessKind

ANEW = timedelta(seconds=1)


@pytest.fixture(autouse=True)
def _no_pause_between_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.jobs.heartbeats.BEAT_SECONDS", 0.0)


def living() -> list[str]:
    return [each.name for each in living_workers(db.session(), clock.now())]


def test_readiness_tells_of_them(engine: Flask) -> None:
    client = engine.test_client()
    nobody = client.get("/readyz").json
    Heart(ProcessKind.WORKER, ("people",)).beat()
    somebody = client.get("/readyz").json
    assert nobody is not None
    assert somebody is not None
    assert nobody["checks"]["workers"] == "none has given a sign of life lately"
    assert somebody["checks"]["workers"] == "ok"
    assert somebody["checks"]["schedulers"] == "none has given a sign of life lately"


def test_the_measures_count_them(engine: Flask) -> None:
    assert living_by_kind(clock.now()) == {}
    Heart(ProcessKind.WORKER, ("people",)).beat()
    assert living_by_kind(clock.now()) == {"worker": 1}


def silent() -> list[str]:
    return [each.name for each in silent_workers(db.session(), clock.now())]


def test_who_beats_lives_and_is_known_by_what_it_does(engine: Flask) -> None:
    Heart(ProcessKind.WORKER, ("people", "bulk")).beat(job_id="push-1-7")
    clock.advance(ANEW)
    Heart(ProcessKind.SCHEDULER).beat(is_leader=True)
    worker, scheduler = living_workers(db.session(), clock.now())
    assert (worker.kind, worker.queues, worker.job_id, worker.pid) == (
        ProcessKind.WORKER,
        ["people", "bulk"],
        "push-1-7",
        os.getpid(),
    )
    assert (scheduler.kind, scheduler.is_leader) == (ProcessKind.SCHEDULER, True)
    assert count_living([worker, scheduler], ProcessKind.WORKER) == 1


def test_who_falls_silent_is_known_by_age_and_forgotten_after_a_day(engine: Flask) -> None:
    dead, alive = Heart(ProcessKind.WORKER), Heart(ProcessKind.WORKER)
    dead.beat()
    clock.advance(LIVING + ANEW)
    alive.beat()
    assert (living(), silent()) == ([alive.name], [dead.name])
    db.session.remove()
    clock.advance(KEPT - LIVING)
    alive.beat()
    assert (living(), silent()) == ([alive.name], [])


def test_a_clean_end_leaves_nobody_to_miss(engine: Flask) -> None:
    heart = Heart(ProcessKind.WORKER)
    heart.beat()
    heart.stop()
    assert (living(), silent()) == ([], [])


def test_a_beat_renews_the_row_and_says_what_is_done_now(
    engine: Flask, owner_engine: Engine
) -> None:
    heart = Heart(ProcessKind.WORKER)
    heart.beat(job_id="push-1-7")
    clock.advance(ANEW)
    heart.beat()
    with owner_engine.connect() as connection:
        [row] = connection.execute(text("SELECT job_id, started_at, seen_at FROM heartbeats"))
    assert row.job_id is None
    assert row.seen_at - row.started_at >= ANEW


def test_beats_come_every_few_seconds_however_often_they_are_offered(
    engine: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.jobs.heartbeats.BEAT_SECONDS", 3600.0)
    heart = Heart(ProcessKind.WORKER)
    heart.beat()
    heart.beat(job_id="push-1-7")
    [row] = living_workers(db.session(), clock.now())
    assert row.job_id is None


def test_a_child_neither_beats_nor_removes_its_parents_row(
    engine: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    heart = Heart(ProcessKind.WORKER)
    heart.beat()
    monkeypatch.setattr("os.getpid", lambda: 1)
    heart.beat(job_id="push-1-7")
    heart.stop()
    [row] = living_workers(db.session(), clock.now())
    assert row.job_id is None


def test_a_database_that_is_away_costs_the_beat_and_nothing_else(
    engine: Flask, owner_engine: Engine
) -> None:
    with owner_engine.begin() as connection:
        connection.execute(text("ALTER TABLE heartbeats RENAME TO away"))
    try:
        Heart(ProcessKind.WORKER).beat()
    finally:
        with owner_engine.begin() as connection:
            connection.execute(text("ALTER TABLE away RENAME TO heartbeats"))
    assert living() == []
