"""Whether the process lives, and whether what it needs can be reached; for machines, no login."""

from functools import cache

from alembic.script import ScriptDirectory
from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from webapp.application import ROOT, settings
from webapp.extensions import db
from webapp.jobs.queues import connect_for_web

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def live() -> ResponseReturnValue:
    """The process answers."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
def ready() -> ResponseReturnValue:
    """Each dependency with its state; 503 where pages can't be served.

    Redis away is reported but doesn't make the web unready: pages and bookings go on without it.
    """
    checks = {"database": _database(), "redis": _redis()}
    is_ready = checks["database"] == "ok"
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


def _redis() -> str:
    try:
        connect_for_web(settings().redis_url).ping()
    except RedisError as error:
        return f"unreachable: {type(error).__name__}"
    return "ok"
