"""How many calls an API key may still make, counted in Redis for all workers (S3.6, API.md §1).

No 60 seconds ever hold more calls than the budget: each call's instant is kept and counted. People
may use all of it, sweeps leave a share to people. What Cal.com announces is believed before our
own count: others may use the same key. Redis keeps instants; now is a parameter.
"""

import hashlib
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from redis import Redis

from webapp.calcom.errors import BudgetSpent
from webapp.calcom.rate_limits import RateLimit

SHARE_OF_ANNOUNCED = 0.83
"""Lasting overruns have got accounts locked: stay well below what is announced (API.md §1)."""

WINDOW_SECONDS = 60.0
SHORTEST_WAIT_SECONDS = 1.0
_FORGOTTEN_AFTER_SECONDS = 24 * 3600
"""Housekeeping for keys that are used no more; nothing is decided by it."""

# KEYS: state, calls. ARGV: now, window, budget unless learnt, share, queue, call's name, lifetime.
# Returns '' or until when to wait. Those who wait get their turns one by one, as calls come free;
# turns reach as far as the queue is long, for half an hour: else thousands that wait would wake in
# vain again and again, and keep the workers from everybody else.
_TAKE = """
local now, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local function at(name) return tonumber(redis.call('HGET', KEYS[1], name) or 0) end
local limit = at('limit') > 0 and at('limit') or tonumber(ARGV[3])
local most = math.max(1, math.floor(limit * tonumber(ARGV[4]) + 0.000001))
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - window)
local used, free_at = redis.call('ZCARD', KEYS[2]), at('paused_until')
if used >= most then
  local leaving = redis.call('ZRANGE', KEYS[2], used - most, used - most, 'WITHSCORES')
  free_at = math.max(free_at, tonumber(leaving[2]) + window)
end
local is_told = now < at('there_until')
if is_told and at('there_used') >= most then free_at = math.max(free_at, at('there_until')) end
if free_at > now then
  local turn = at(ARGV[5]) + window / most
  if turn < free_at or turn > free_at + 30 * window then turn = free_at end
  redis.call('HSET', KEYS[1], ARGV[5], string.format('%.6f', turn))
  return string.format('%.6f', turn)
end
redis.call('ZADD', KEYS[2], now, ARGV[6])
if is_told then redis.call('HINCRBY', KEYS[1], 'there_used', 1) end
redis.call('EXPIRE', KEYS[1], ARGV[7])
redis.call('EXPIRE', KEYS[2], ARGV[7])
return ''
"""

# KEYS: state. ARGV, each '' where not said: budget, used there, until when, paused until; lifetime.
# Within one window of Cal.com's the higher count holds: answers overtake each other.
_LEARN = """
local function at(name) return tonumber(redis.call('HGET', KEYS[1], name) or 0) end
if ARGV[1] ~= '' then redis.call('HSET', KEYS[1], 'limit', ARGV[1]) end
if ARGV[2] ~= '' then
  local used = tonumber(ARGV[2])
  if math.abs(tonumber(ARGV[3]) - at('there_until')) < 2 then
    used = math.max(used, at('there_used'))
  end
  redis.call('HSET', KEYS[1], 'there_used', used, 'there_until', ARGV[3])
end
if ARGV[4] ~= '' and tonumber(ARGV[4]) > at('paused_until') then
  redis.call('HSET', KEYS[1], 'paused_until', ARGV[4])
end
redis.call('EXPIRE', KEYS[1], ARGV[5])
return 0
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """Calls per 60 s until Cal.com announces its limit; the share that sweeps leave to people."""

    calls: int
    people_share: float


@dataclass(frozen=True, slots=True)
class BudgetState:
    """For people: the budget, what of it was used in the last 60 s, until when a 429 pauses it."""

    limit: int
    used: int
    paused_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Budget:
    """The budget of one key (`name`: see `budget_name`); methods raise RedisError."""

    connection: Redis
    name: str
    allowance: Allowance

    def take(self, now: datetime, *, is_sweep: bool) -> None:
        """Use one call; raises BudgetSpent with the seconds to wait."""
        until = self.connection.register_script(_TAKE)(
            keys=[self.name, _calls(self.name)],
            args=[
                now.timestamp(),
                WINDOW_SECONDS,
                self.allowance.calls,
                1 - self.allowance.people_share if is_sweep else 1,
                "sweeps_turn" if is_sweep else "peoples_turn",
                uuid.uuid4().hex,
                _FORGOTTEN_AFTER_SECONDS,
            ],
        )
        if until:
            wait = float(cast(str | bytes, until)) - now.timestamp()
            raise BudgetSpent(max(SHORTEST_WAIT_SECONDS, wait))

    def learn(self, said: RateLimit, now: datetime, *, pause_seconds: float | None = None) -> None:
        """Believe what an answer's headers say; a 429 pauses the key for `pause_seconds`."""
        at = now.timestamp()
        paused_until = "" if pause_seconds is None else at + pause_seconds
        values = [_budget_of(said), *_use_of(said, at), paused_until]
        if any(value != "" for value in values):
            run = self.connection.register_script(_LEARN)
            run(keys=[self.name], args=[*values, _FORGOTTEN_AFTER_SECONDS])


def budget_name(host: str, api_key: str) -> str:
    """Under what name the budget of a key is kept: a hash, never the key itself."""
    digest = hashlib.sha256(f"{host.lower()}\n{api_key.strip()}".encode()).hexdigest()
    return f"lockstep:budget:{digest[:40]}"


def budget_state(budget: Budget, now: datetime) -> BudgetState:
    """How a key's budget stands; raises RedisError where Redis is away."""
    stored = cast(dict[bytes, bytes], budget.connection.hgetall(budget.name))
    since = now.timestamp() - WINDOW_SECONDS
    used = budget.connection.zcount(_calls(budget.name), f"({since}", "+inf")
    paused_until = float(stored.get(b"paused_until", 0))
    return BudgetState(
        limit=int(stored.get(b"limit", budget.allowance.calls)),
        used=used,
        paused_until=(
            datetime.fromtimestamp(paused_until, UTC) if paused_until > now.timestamp() else None
        ),
    )


def _budget_of(said: RateLimit) -> int | str:
    return "" if said.limit is None else max(1, int(said.limit * SHARE_OF_ANNOUNCED))


def _use_of(said: RateLimit, at: float) -> tuple[int | str, float | str]:
    if said.limit is None or said.remaining is None or said.reset_seconds is None:
        return "", ""
    return max(0, said.limit - said.remaining), at + said.reset_seconds


def _calls(name: str) -> str:
    return f"{name}:calls"
