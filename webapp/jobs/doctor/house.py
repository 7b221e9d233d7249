"""What everything stands on: settings, PostgreSQL with its role and migrations, Redis."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from alembic.script import ScriptDirectory
from redis.exceptions import RedisError
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from webapp.application import ROOT, settings
from webapp.extensions import db
from webapp.jobs.doctor.findings import Finding, fail, ok, warn
from webapp.jobs.queues import connect_for_web
from webapp.models.serving_role import objection_to_role

OLDEST_POSTGRESQL = 150_000
NEARLY_FULL = 0.9


def setting_findings() -> Iterator[Finding]:
    """What passes the start and is still unwise; a setting that can't be had ends the start."""
    mine = settings()
    is_demo = mine.sandbox_url is not None
    if mine.public_url.startswith("http://") and not is_demo:
        yield warn("settings", f"PUBLIC_URL is {mine.public_url}", "serve it by https")
    elif mine.public_url.startswith("https://") and not mine.trusted_proxies:
        yield warn(
            "settings",
            "nothing in front is trusted: whoever speaks https for us, everybody has its address,"
            " and one person's wrong passwords keep all out",
            "set TRUSTED_PROXIES to how many proxies are in front",
        )
    elif not mine.session_cookie_secure and not is_demo:
        yield warn(
            "settings", "the session cookie travels unencrypted", "leave SESSION_COOKIE_SECURE true"
        )
    elif mine.allow_private_networks and not is_demo:
        yield warn(
            "settings",
            "companies may point Cal.com and chat at private addresses",
            "leave ALLOW_PRIVATE_NETWORKS false unless all companies are yours",
        )
    else:
        yield ok("settings", "read")
    if mine.smtp_url is None:
        yield warn("mail", "SMTP_URL isn't set: nobody is mailed", "set SMTP_URL and MAIL_FROM")
    else:
        yield ok("mail", "a mail server is set; `message test` tries it")


def database_findings() -> Iterator[Finding]:
    """A failure here leaves everything behind it out."""
    try:
        with db.engine.connect() as connection:
            yield _version(connection)
            yield _role(connection)
            yield _migrations(connection)
    except DBAPIError as error:
        yield fail(
            "database",
            f"PostgreSQL doesn't answer as it should: {type(error.orig).__name__}",
            "look at DATABASE_URL, the server and its log",
        )


def _version(connection: Connection) -> Finding:
    number = int(connection.scalar(text("SHOW server_version_num")) or 0)
    if number < OLDEST_POSTGRESQL:
        return fail("database", f"PostgreSQL {number // 10000}", "move to 15 or newer")
    return ok("database", f"PostgreSQL {number // 10000} answers")


def _role(connection: Connection) -> Finding:
    objection = objection_to_role(connection)
    if objection is not None:
        return fail(
            "role",
            f"the role in DATABASE_URL {objection}: companies aren't kept apart",
            "serve with a role that owns nothing",
        )
    return ok("role", "owns nothing, bypasses nothing")


def _migrations(connection: Connection) -> Finding:
    there = {
        str(name)
        for name in connection.scalars(
            text(
                "SELECT version_num FROM alembic_version WHERE to_regclass('companies') IS NOT NULL"
            )
        )
    }
    wanted = set(ScriptDirectory(str(Path(ROOT) / "migrations")).get_heads())
    if there == wanted:
        return ok("migrations", f"at {', '.join(sorted(wanted))}")
    return fail(
        "migrations",
        f"at {', '.join(sorted(there)) or 'nothing'}, this version needs {', '.join(wanted)}",
        "run `db upgrade` with DATABASE_OWNER_URL, or go back to the version that fits",
    )


def redis_findings() -> Iterator[Finding]:
    try:
        facts = connect_for_web(settings().redis_url).info()
    except RedisError as error:
        yield fail(
            "redis",
            f"can't be reached: {type(error).__name__}",
            "look at REDIS_URL and the server; changes are kept and go on when it is back",
        )
        return
    yield ok("redis", f"Redis {facts.get('redis_version', '?')} answers")
    yield _eviction(facts)
    yield _memory(facts)
    yield _persistence(facts)


def _eviction(facts: dict[str, Any]) -> Finding:
    policy = str(facts.get("maxmemory_policy", "unknown"))
    if policy != "noeviction":
        return fail(
            "redis-eviction",
            f"maxmemory-policy is {policy}: queued jobs may be thrown away",
            "set maxmemory-policy noeviction",
        )
    return ok("redis-eviction", "noeviction")


def _memory(facts: dict[str, Any]) -> Finding:
    most, used = int(facts.get("maxmemory") or 0), int(facts.get("used_memory") or 0)
    if most and used > most * NEARLY_FULL:
        return fail(
            "redis-memory",
            f"{used} of {most} bytes used",
            "give it more memory: when it is full nothing can be queued",
        )
    return ok("redis-memory", f"{used} bytes used")


def _persistence(facts: dict[str, Any]) -> Finding:
    """Nothing is lost without: the rows are the truth. A restart only forgets breakers and pace."""
    if facts.get("rdb_last_bgsave_status", "ok") != "ok":
        return warn("redis-persistence", "its last save failed", "look at its log and disk")
    if facts.get("aof_enabled"):
        return ok("redis-persistence", "append-only file")
    return ok("redis-persistence", "snapshots or none; the pulse queues again whatever is due")
