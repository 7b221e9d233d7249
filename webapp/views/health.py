"""Whether the process lives, and whether what it needs can be reached; for machines, no login."""

from functools import cache

from alembic.script import ScriptDirectory
from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from webapp import clock
from webapp.application import ROOT, settings
from webapp.extensions import db
from webapp.insight.workers import count_living, living_workers
from webapp.jobs.queues import connect_for_web
from webapp.models.heartbeat import ProcessKind

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def live() -> ResponseReturnValue:
    """The process answers."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
def ready() -> ResponseReturnValue:
    """Each dependency with its state; 503 where pages can't be served.

    Redis away, or nobody at work, is reported but doesn't make the web unready: pages and bookings
    go on, and what waits is carried out later.
    """
    checks = {"database": _database(), "redis": _redis()}
    is_ready = checks["database"] == "ok"
    checks |= _processes() if is_ready else {}
    return jsonify(status="ok" if is_ready else "unready", checks=checks), 200 if is_ready else 503


def _database() -> str:
    try:
        with db.engine.connect() as connection:
            current = set(connection.scalars(text("SELECT version_num FROM alembic_version")))
    except DBAPIError as error:
        return f"unreachable: {type(error.orig).__name__}"
    return "ok" if current == _wanted_heads() else "migrations are missing: run `db upgrade`"


@cache
def _wanted_heads() -> set[str]:
    """What this version of the code was written for."""
    return set(ScriptDirectory(str(ROOT / "migrations")).get_heads())


def _processes() -> dict[str, str]:
    """Whether workers and scheduler have given a sign of life lately."""
    living = living_workers(db.session(), clock.now())
    said = {
        f"{kind}s": "ok" if count_living(living, kind) else "none has given a sign of life lately"
        for kind in ProcessKind
    }
    db.session.rollback()
    return said


def _redis() -> str:
    try:
        connect_for_web(settings().redis_url).ping()
    except RedisError as error:
        return f"unreachable: {type(error).__name__}"
    return "ok"
