"""The circuit breaker of one company, in Redis, so that all workers share it (S3.6).

closed ──failures in a row──► open ──its seconds pass──► trial due
   ▲                            ▲                           │ one call is let through
   └──────── it is answered ────┼───────────────────────────┤ meanwhile the others wait
                                └──── it fails too ◄────────┘

A trial that nobody reports on lapses, and another is let through. What began before the breaker
opened and ends afterwards changes nothing. Redis keeps instants; now is a parameter.
"""

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import cast

from redis import Redis

from webapp.calcom.errors import CONNECTION, TIMEOUT, CircuitOpen

# KEYS: the breaker. ARGV: now, until when a trial holds, whose. Returns '' or until when to wait.
# Those who wait get their turns one by one: when it closes all are due at once anyway, and while it
# doesn't, a thousand that wake together would keep the workers from everybody else. After half
# an hour of turns they begin anew.
_ADMIT = """
local function at(name) return tonumber(redis.call('HGET', KEYS[1], name) or 0) end
local now = tonumber(ARGV[1])
local free_at = math.max(at('open_until'), at('trial_until'))
if now < free_at then
  local turn = at('turn') + 1
  if turn < free_at or turn > free_at + 1800 then turn = free_at end
  redis.call('HSET', KEYS[1], 'turn', string.format('%.6f', turn))
  return string.format('%.6f', turn)
end
if at('open_until') > 0 then
  redis.call('HSET', KEYS[1], 'trial_until', ARGV[2], 'trial_by', ARGV[3])
end
return ''
"""

# ARGV: now, until when it would open, failures that open it, whose. Returns 1 if this opened it.
_NOTE_FAILURE = """
local is_closed = redis.call('HEXISTS', KEYS[1], 'open_until') == 0
if is_closed then
  local failures = redis.call('HINCRBY', KEYS[1], 'failures', 1)
  if failures < tonumber(ARGV[3]) then return 0 end
  redis.call('HSET', KEYS[1], 'opened_at', ARGV[1])
elseif redis.call('HGET', KEYS[1], 'trial_by') ~= ARGV[4] then
  return 0
end
redis.call('HDEL', KEYS[1], 'trial_until', 'trial_by')
redis.call('HSET', KEYS[1], 'open_until', ARGV[2])
return 1
"""

# ARGV: whose. Returns 1 if this closed it.
_NOTE_ANSWER = """
local is_open = redis.call('HEXISTS', KEYS[1], 'open_until') == 1
if is_open and redis.call('HGET', KEYS[1], 'trial_by') ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
return is_open and 1 or 0
"""

# ARGV: whose.
_GIVE_BACK = """
if redis.call('HGET', KEYS[1], 'trial_by') == ARGV[1] then
  redis.call('HDEL', KEYS[1], 'trial_until', 'trial_by')
end
return 0
"""

SHORTEST_WAIT_SECONDS = 1.0


class Circuit(StrEnum):
    """TRIAL: its seconds have passed, the next call (or the one under way) decides."""

    CLOSED = "closed"
    OPEN = "open"
    TRIAL = "trial"


@dataclass(frozen=True, slots=True)
class BreakerState:
    """For people: `failures` in a row while closed; since when and until when it is open."""

    circuit: Circuit
    failures: int = 0
    opened_at: datetime | None = None
    open_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fuse:
    """How many failures in a row open a breaker, for how long; how long a trial may take."""

    failures: int
    open_seconds: float
    trial_seconds: float


@dataclass(frozen=True, slots=True)
class Breaker:
    """One caller's hold on a company's breaker; make one per caller, for a trial is the caller's.

    Every method raises RedisError where Redis is away.
    """

    connection: Redis
    company_id: int
    fuse: Fuse
    _token: str = field(default_factory=lambda: uuid.uuid4().hex)

    def admit(self, now: datetime) -> None:
        """Let a call through; raises CircuitOpen while open or while another makes the trial."""
        trial_until = now.timestamp() + self.fuse.trial_seconds
        until = self._run(_ADMIT, now.timestamp(), trial_until, self._token)
        if until:
            wait = float(cast(str | bytes, until)) - now.timestamp()
            raise CircuitOpen(max(SHORTEST_WAIT_SECONDS, wait))

    def note_failure(self, now: datetime) -> bool:
        """A call came to nothing; True if that opened the breaker, or kept it open."""
        open_until = now.timestamp() + self.fuse.open_seconds
        fuse = self.fuse.failures
        return bool(self._run(_NOTE_FAILURE, now.timestamp(), open_until, fuse, self._token))

    def note_answer(self) -> bool:
        """Cal.com answered, be it with a refusal; True if that closed the breaker."""
        return bool(self._run(_NOTE_ANSWER, self._token))

    def give_back(self) -> None:
        """The call that was let through isn't made after all: let another be the trial."""
        self._run(_GIVE_BACK, self._token)

    def _run(self, script: str, *values: float | str) -> object:
        run = self.connection.register_script(script)
        return run(keys=[_name(self.company_id)], args=list(values))


def is_failure(error_code: str | None) -> bool:
    """Whether a call ended without an answer of Cal.com's own; a refusal is an answer."""
    return error_code in (TIMEOUT, CONNECTION) or (error_code or "").startswith("HTTP_5")


def breaker_state(connection: Redis, company_id: int, now: datetime) -> BreakerState:
    """How a company's breaker stands; raises RedisError where Redis is away."""
    stored = cast(dict[bytes, bytes], connection.hgetall(_name(company_id)))
    if b"open_until" not in stored:
        return BreakerState(Circuit.CLOSED, int(stored.get(b"failures", 0)))
    open_until = _instant(stored[b"open_until"])
    return BreakerState(
        Circuit.OPEN if now < open_until else Circuit.TRIAL,
        int(stored[b"failures"]),
        _instant(stored[b"opened_at"]),
        open_until,
    )


def reset_breaker(connection: Redis, company_id: int) -> bool:
    """Close a company's breaker and forget its failures; False where there was nothing to forget.

    Raises RedisError where Redis is away.
    """
    return bool(connection.delete(_name(company_id)))


def _instant(stored: bytes) -> datetime:
    return datetime.fromtimestamp(float(stored), UTC)


def _name(company_id: int) -> str:
    return f"lockstep:breaker:{company_id}"
