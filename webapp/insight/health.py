"""How a company stands with Cal.com, in one reason: the one that matters most just now. Pure; the
words are for whoever shows it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Reason(StrEnum):
    """In the order in which they matter: what stops everything comes before what waits."""

    NOT_CONNECTED = "not_connected"
    CONNECTION_BROKEN = "connection_broken"
    PAUSED = "paused"
    UNTRUSTED = "untrusted"
    QUEUE_AWAY = "queue_away"
    RATE_LIMITED = "rate_limited"
    BREAKER_OPEN = "breaker_open"
    WEBHOOK_SILENT = "webhook_silent"
    REVIEW = "review"
    NEVER_VERIFIED = "never_verified"
    VERIFIED_LONG_AGO = "verified_long_ago"
    ON_THE_WAY = "on_the_way"
    IN_STEP = "in_step"


class Level(StrEnum):
    """How much it concerns the reader."""

    GOOD = "good"
    BUSY = "busy"
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known; instants are None where there is nothing of the kind."""

    has_key: bool = True
    is_broken: bool = False
    paused_at: datetime | None = None
    open_incidents: int = 0
    is_queue_away: bool = False
    rate_limited_until: datetime | None = None
    breaker_open_until: datetime | None = None
    webhook_silent_since: datetime | None = None
    review: int = 0
    waiting: int = 0
    """Changes that have not reached Cal.com yet."""
    verified_at: datetime | None = None
    """When the last verification ended that was not broken off."""


@dataclass(frozen=True, slots=True)
class Health:
    """The reason, and what its sentence needs: how many, and since or until when."""

    reason: Reason
    level: Level
    count: int = 0
    at: datetime | None = None


def judge_health(facts: Facts, *, now: datetime, verified_within: timedelta) -> Health:
    """The first of the reasons that holds. `verified_within`: older verifications are too old."""
    return _stopped(facts, now) or _amiss(facts, now, verified_within) or _well(facts)


def _stopped(facts: Facts, now: datetime) -> Health | None:
    """Nothing, or not everything, reaches Cal.com."""
    if not facts.has_key:
        return Health(Reason.NOT_CONNECTED, Level.BAD, facts.waiting)
    if facts.is_broken:
        return Health(Reason.CONNECTION_BROKEN, Level.BAD, facts.waiting)
    if facts.paused_at is not None:
        return Health(Reason.PAUSED, Level.BAD, facts.waiting, facts.paused_at)
    if facts.open_incidents:
        return Health(Reason.UNTRUSTED, Level.BAD, facts.open_incidents)
    if facts.is_queue_away:
        return Health(Reason.QUEUE_AWAY, Level.BAD, facts.waiting)
    if facts.rate_limited_until is not None and facts.rate_limited_until > now:
        return Health(Reason.RATE_LIMITED, Level.BUSY, facts.waiting, facts.rate_limited_until)
    if facts.breaker_open_until is not None and facts.breaker_open_until > now:
        return Health(Reason.BREAKER_OPEN, Level.BAD, facts.waiting, facts.breaker_open_until)
    return None


def _amiss(facts: Facts, now: datetime, verified_within: timedelta) -> Health | None:
    """Somebody should look."""
    if facts.webhook_silent_since is not None:
        return Health(Reason.WEBHOOK_SILENT, Level.BAD, at=facts.webhook_silent_since)
    if facts.review:
        return Health(Reason.REVIEW, Level.BAD, facts.review)
    if facts.verified_at is None:
        return Health(Reason.NEVER_VERIFIED, Level.BUSY)
    if now - facts.verified_at > verified_within:
        return Health(Reason.VERIFIED_LONG_AGO, Level.BAD, at=facts.verified_at)
    return None


def _well(facts: Facts) -> Health:
    if facts.waiting:
        return Health(Reason.ON_THE_WAY, Level.BUSY, facts.waiting)
    return Health(Reason.IN_STEP, Level.GOOD, at=facts.verified_at)
