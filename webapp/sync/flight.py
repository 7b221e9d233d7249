"""How an intent's flight ends: status and lease change together, and what it leaves in doubt goes
to whoever comes after it."""

from dataclasses import dataclass
from datetime import datetime

from webapp.models.intent import Intent, IntentStatus
from webapp.sync.push import Claim


@dataclass(frozen=True, slots=True)
class Settled:
    """What should happen next: an intent to enqueue now, or nothing."""

    next_intent_id: int | None = None
    was_lost: bool = False


def finish(intent: Intent, status: IntentStatus, now: datetime, outcome: str) -> None:
    leave_flight(intent, status)
    intent.finished_at = now
    intent.outcome = outcome


def leave_flight(intent: Intent, status: IntentStatus) -> None:
    """The status and the lease change together: the database insists."""
    intent.status = status
    intent.lease_token = None
    intent.lease_until = None


def forget_try(intent: Intent, claim: Claim) -> None:
    """This try left nothing in doubt: what was in doubt before it still is."""
    intent.has_unknown_outcome = claim.known.must_look
    intent.sent_starts = list(claim.known.sent_starts)
    intent.last_call_at = claim.last_call_at
    intent.doubted_since = claim.doubted_since
