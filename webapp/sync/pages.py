"""A page of a run: what it shows is joined with ours, judged, and written down in one transaction.

Who agreed before and agrees now costs nothing: no row, no stamp (S2.6). Who agrees again or differs
is written in batches. Who isn't seen where it should be is noted as a sighting: whether it is
missing is said only at the end, when a later page may have shown it after all.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from webapp.calcom.payloads import Booking
from webapp.models.appointment import AppointmentStatus
from webapp.models.remote_change import RemoteChangeKind
from webapp.models.run import RunScope, SightingKind
from webapp.models.sync_state import SyncState
from webapp.sync.announcements import SeenChange
from webapp.sync.joining import (
    DOUBT,
    Doubt,
    Joined,
    Links,
    Ours,
    join_page,
    ours_between,
    ours_by_id,
)
from webapp.sync.listing import Page
from webapp.sync.reconcile import Mover, view_of_theirs
from webapp.sync.runs import RunFacts
from webapp.sync.sightings import note_sightings
from webapp.sync.unclaimed import Taken, recognise, take_unclaimed
from webapp.sync.verdict import Branch, Verdict, decide
from webapp.sync.verify import Patience
from webapp.sync.writing import Judged, write_judged


@dataclass(frozen=True, slots=True)
class Change:
    """Something that Cal.com changed, as a reading showed it: for whoever asks whether a webhook
    had announced it."""

    uid: str
    kind: Branch
    appointment_id: int | None
    remote_updated_at: datetime | None


KIND_OF_BRANCH = {
    Branch.ONLY_THERE: RemoteChangeKind.CREATED,
    Branch.MOVED_THERE: RemoteChangeKind.RESCHEDULED,
    Branch.MOVED_ON_BOTH: RemoteChangeKind.RESCHEDULED,
    Branch.CANCELLED_THERE: RemoteChangeKind.CANCELLED,
    Branch.REJECTED_THERE: RemoteChangeKind.CANCELLED,
    Branch.CONFIRMED_THERE: RemoteChangeKind.CONFIRMED,
}
"""What webhooks announce of what a reading shows."""


def announceable(changes: Sequence[Change]) -> list[SeenChange]:
    """The changes that a webhook should have told of, for `announcements.note_changes`."""
    return [
        SeenChange(each.uid, kind, each.remote_updated_at, each.appointment_id)
        for each in changes
        if each.remote_updated_at is not None and (kind := KIND_OF_BRANCH.get(each.kind))
    ]


@dataclass(slots=True)
class PageFindings:
    """What a page or a look came to: figures for the run's row, and what others want to know."""

    compared: int = 0
    agreed: int = 0
    disagreed: int = 0
    flagged: int = 0
    healed: int = 0
    only_there: int = 0
    missing: int = 0
    errors: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    moved_there: list[Change] = field(default_factory=list)
    """Changes made on Cal.com that were news to us."""
    strays: list[tuple[int, str]] = field(default_factory=list)
    """`(appointment, uid)` of bookings with our key that are none of their appointment's known
    ones: a direct look has to tell whether they are its successors or a second booking."""

    @property
    def figures(self) -> dict[str, int]:
        """By column of the run's row."""
        return {
            "compared_count": self.compared,
            "agreed_count": self.agreed,
            "disagreed_count": self.disagreed,
            "flagged_count": self.flagged,
            "healed_count": self.healed,
            "missing_count": self.missing,
            "only_there_count": self.only_there,
            "error_count": self.errors,
        }


def record_page(
    session: Session,
    run: RunFacts,
    page: Page,
    *,
    now: datetime,
    patience: Patience,
    past_days: int,
    is_held: Callable[[], bool],
) -> PageFindings:
    """Judge a page. The caller commits it together with the checkpoint, so that it counts once.

    `past_days` and `is_held` as for `take_unclaimed`; the latter is asked only if need be.
    """
    joined = join_page(session, page.bookings, run.host)
    reading = _Reading(run, page, joined, now, patience)
    met: set[int] = set()
    if run.has_window:
        for chunk in ours_between(session, page.since, page.until):
            met.update(each.id for each in chunk)
            reading.judge_chunk(session, chunk, belongs_here=True)
    elsewhere = ours_by_id(session, sorted(joined.links.keys() - met))
    reading.judge_chunk(session, elsewhere, belongs_here=False)
    if joined.unclaimed:
        taken = take_unclaimed(
            session,
            joined.unclaimed,
            host=run.host,
            now=now,
            news_seconds=0 if run.is_import else patience.news,
            past_days=past_days,
            is_held=is_held(),
            is_import=run.is_import,
        )
        reading.note_taken(session, taken)
    return reading.findings


class _Reading:
    """One page being judged."""

    def __init__(
        self, run: RunFacts, page: Page, joined: Joined, now: datetime, patience: Patience
    ) -> None:
        self._run = run
        self._page = page
        self._joined = joined
        self._now = now
        self._patience = patience
        self.findings = PageFindings()

    def judge_chunk(self, session: Session, chunk: list[Ours], *, belongs_here: bool) -> None:
        judged: list[Judged] = []
        sightings: dict[SightingKind, list[int]] = {kind: [] for kind in SightingKind}
        for ours in chunk:
            theirs = self._theirs(ours)
            if isinstance(theirs, Booking):
                judged += self._compare(ours, theirs)
            elif theirs is DOUBT:
                sightings[SightingKind.DOUBTED].append(ours.id)
            elif belongs_here:
                self._note_unseen(ours, sightings)
            if isinstance(theirs, Booking) and not belongs_here:
                sightings[SightingKind.SEEN].append(ours.id)
        self._write(session, judged)
        note_sightings(session, self._run.id, sightings)

    def note_taken(self, session: Session, taken: Taken) -> None:
        found = self.findings
        found.only_there += len(taken.imported)
        found.flagged += taken.flagged
        found.skipped.update(taken.skipped)
        for appointment_id, booking in taken.imported:
            found.moved_there.append(
                Change(booking.uid, Branch.ONLY_THERE, appointment_id, booking.updated_at)
            )
        doubted = []
        for appointment_id, booking in taken.recognised:
            known = recognise(session, appointment_id, booking, host=self._run.host, now=self._now)
            if known:
                doubted.append(appointment_id)
            elif known is False:
                found.strays.append((appointment_id, booking.uid))
            else:
                self._skip("on_its_way")
        note_sightings(session, self._run.id, {SightingKind.DOUBTED: doubted})

    def _theirs(self, ours: Ours) -> Booking | Doubt | None:
        links = self._joined.links.get(ours.id, Links())
        return links.newest(ours.uid)

    def _compare(self, ours: Ours, booking: Booking) -> Iterable[Judged]:
        """Nothing where there is nothing to write."""
        if ours.is_on_its_way:
            return self._skip("on_its_way")
        verdict = decide(ours.view, view_of_theirs(booking), ours.base)
        if verdict.branch is Branch.SAYS_NOTHING:
            return self._skip("unknown_status")
        uids = self._joined.links[ours.id].fresh
        if verdict.is_mismatch and (reason := self._too_fresh(ours, booking, verdict)):
            self._skip(reason)
            return [Judged(ours, booking, verdict, uids, look_again_at=self._look_again_at())]
        self.findings.compared += 1
        if verdict.is_mismatch:
            return self._differs(ours, booking, verdict, uids)
        return self._agrees(ours, booking, verdict, uids)

    def _agrees(
        self, ours: Ours, booking: Booking, verdict: Verdict, uids: list[str]
    ) -> Iterable[Judged]:
        is_found = ours.state is SyncState.ORPHANED_CALCOM and verdict.branch is Branch.AGREED
        if is_found and self._run.scope is not RunScope.IMPORT:
            # It agrees because it was made of the booking: only a person can say that it is right,
            # as who begins an import does.
            self.findings.disagreed += 1
            return []
        self.findings.agreed += 1
        is_settled = (
            ours.state is SyncState.SYNCED
            and not ours.is_flagged
            and ours.absent_since is None
            and ours.uid == booking.uid
            and ours.has_base(booking)
        )
        return [] if is_settled else [Judged(ours, booking, verdict, uids)]

    def _differs(
        self, ours: Ours, booking: Booking, verdict: Verdict, uids: list[str]
    ) -> Iterable[Judged]:
        self.findings.disagreed += 1
        if verdict.mover in (Mover.THEIRS, Mover.BOTH) and not ours.is_flagged:
            self.findings.moved_there.append(
                Change(booking.uid, verdict.branch, ours.id, booking.updated_at)
            )
        return [Judged(ours, booking, verdict, uids)]

    def _too_fresh(self, ours: Ours, booking: Booking, verdict: Verdict) -> str | None:
        """Why a difference proves nothing yet."""
        lag = timedelta(seconds=self._patience.lag)
        if ours.written_at is not None and self._page.read_at < ours.written_at + lag:
            return "just_written"
        changed, known = booking.updated_at, ours.base_remote_updated_at
        if changed is not None and known is not None and changed < known:
            return "older_than_base"
        news = timedelta(seconds=self._patience.news)
        is_theirs = verdict.mover in (Mover.THEIRS, Mover.BOTH)
        if self._run.scope is not RunScope.REQUESTED and is_theirs and changed is not None:
            return "just_changed" if self._now < changed + news else None
        return None

    def _look_again_at(self) -> datetime:
        pause = max(self._patience.news, self._patience.lag)
        return self._now + timedelta(seconds=pause)

    def _note_unseen(self, ours: Ours, sightings: dict[SightingKind, list[int]]) -> None:
        reason = self._reason_for_absence(ours)
        if reason is not None:
            self._skip(reason)
        elif ours.status is AppointmentStatus.CANCELLED and not ours.is_flagged:
            self.findings.compared += 1
            self.findings.agreed += 1
        elif ours.event_type_id is None or ours.status is AppointmentStatus.CANCELLED:
            sightings[SightingKind.DOUBTED].append(ours.id)
        else:
            sightings[SightingKind.UNSEEN].append(ours.id)

    def _reason_for_absence(self, ours: Ours) -> str | None:
        """Why not being in the listing says nothing about this one."""
        if ours.is_on_its_way:
            return "on_its_way"
        grace = timedelta(seconds=self._patience.grace)
        if ours.written_at is not None and self._page.read_at < ours.written_at + grace:
            return "just_written"
        if ours.event_type_id is None and ours.uid is None:
            return "no_event_type"
        is_fresh = ours.verified_at is not None and self._run.was_verified_lately(ours.verified_at)
        if is_fresh and ours.state is SyncState.SYNCED and not ours.is_flagged:
            return "verified_lately"
        return None

    def _skip(self, reason: str) -> list[Judged]:
        self.findings.skipped[reason] += 1
        return []

    def _write(self, session: Session, judged: list[Judged]) -> None:
        if not judged:
            return
        written = write_judged(session, judged, host=self._run.host, now=self._now)
        self.findings.flagged += written.flagged
        self.findings.healed += written.healed
        self.findings.skipped.update(written.skipped)
