"""The states of an appointment's sync and the moves between them; nothing else moves them.

    (new) ──► pending ──► synced ◄──────────┐ both sides seen to agree
                 │  ▲        │              │
                 │  └────────┼── any later local change
                 ▼           ▼              │
              failed ◄──► orphaned_local / orphaned_calcom
                 └────► verification_pending ┘ a person retries

`appointment.move_sync_state` carries a move out as a compare-and-swap: where no row changes,
somebody else was quicker. Why some moves are allowed although the specification's table lacks
them: docs/decisions/0004-sync-state-moves.md.
"""

from enum import StrEnum


class SyncState(StrEnum):
    PENDING = "pending"
    SYNCED = "synced"
    FAILED = "failed"
    ORPHANED_LOCAL = "orphaned_local"
    ORPHANED_CALCOM = "orphaned_calcom"
    VERIFICATION_PENDING = "verification_pending"


ORPHANED = frozenset({SyncState.ORPHANED_LOCAL, SyncState.ORPHANED_CALCOM})
WAITING = frozenset({SyncState.PENDING, SyncState.VERIFICATION_PENDING})
FAILURES = ORPHANED | {SyncState.FAILED}
RETRIABLE = FAILURES | {SyncState.VERIFICATION_PENDING}

ALLOWED_FROM: dict[SyncState, frozenset[SyncState]] = {
    SyncState.SYNCED: frozenset(SyncState),
    SyncState.PENDING: frozenset(SyncState),
    SyncState.FAILED: frozenset(SyncState),
    SyncState.ORPHANED_LOCAL: frozenset(SyncState) - {SyncState.ORPHANED_CALCOM},
    SyncState.ORPHANED_CALCOM: frozenset(
        {SyncState.ORPHANED_CALCOM, SyncState.VERIFICATION_PENDING}
    ),
    SyncState.VERIFICATION_PENDING: RETRIABLE,
}
"""Target state → the states it may be entered from."""
