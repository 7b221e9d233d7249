"""The steps of a run's job: a page or a look at a time, each outside a transaction, each committed
with its checkpoint. What a step decides stands in `sync`; here is when it is made."""

import time
from typing import Any

from webapp import clock
from webapp.application import settings
from webapp.calcom.client import CalcomClient, CallRecord
from webapp.calcom.errors import NotFound, Postponed, Unavailable
from webapp.calcom.payloads import Account, Booking
from webapp.extensions import db
from webapp.jobs.verification import patience, plan_look
from webapp.logs import sync_log
from webapp.models.incident import IncidentCause
from webapp.models.run import RunPhase, RunScope, RunStatus, SightingKind
from webapp.sync.absences import (
    Alarm,
    Brake,
    alarm_after_listing,
    alarm_at_missing,
    alarm_of_our_side,
    evidence_of,
    is_ours_suddenly_empty,
    record_absences,
)
from webapp.sync.announcements import note_changes
from webapp.sync.catalog import request_comparison
from webapp.sync.connection import mark_connected
from webapp.sync.doubts import record_look, skip_look
from webapp.sync.incidents import UNTRUSTED, raise_untrusted, recognise_account, settle_by_itself
from webapp.sync.joining import LIVING
from webapp.sync.listing import Page, read_by_change, read_by_start
from webapp.sync.pages import PageFindings, announceable, record_page
from webapp.sync.runs import (
    Ground,
    RunFacts,
    RunLost,
    Windows,
    advance_run,
    finish_run,
    load_facts,
    note_watermark,
    pause_run,
    prepare_run,
    survey_ground,
)
from webapp.sync.sightings import (
    forget_sightings,
    forget_unseen,
    next_doubts,
    note_flagged,
    sighted,
)
from webapp.sync.unclaimed import import_second_booking
from webapp.sync.verify import Look, Observation, observe

RUN_SECONDS = 240.0
"""A run's job hands over to a further one before its time limit of 300 s ends it."""

BATCH = 250
FLAGGED_PER_DELTA = 50
"""A look at changes also looks at this many flagged appointments, the longest unseen first."""


class Calls:
    """How many calls were made for a run since they were last written down."""

    def __init__(self) -> None:
        self._made = 0

    def count(self, _record: CallRecord) -> None:
        self._made += 1

    def take(self) -> int:
        made, self._made = self._made, 0
        return made


class Sweep:
    """One job's share of a run."""

    def __init__(self, run_id: int, client: CalcomClient, calls: Calls) -> None:
        self._run_id = run_id
        self._client = client
        self._calls = calls
        self._ends = time.monotonic() + RUN_SECONDS
        self._ground: Ground

    def work(self) -> bool:
        """True when the run is over, False when this job's time is; raises CalcomError, RunLost.

        0. a stop that was asked for holds also while Cal.com can't be asked
        1. whose key is it: another account's would make all of ours look missing
        2. the listing, page by page
        3. what it left in doubt, one by one
        4. what is missing, all at once, unless it is more than can be believed
        """
        if self._has_stopped() or not self._begin(self._client.me()):
            return True
        steps = {
            RunPhase.LISTING: self._read_page,
            RunPhase.DOUBTS: self._look_at_doubts,
            RunPhase.ABSENCES: self._settle_absences,
        }
        while (run := self._load()) is not None:
            if run.is_stop_requested:
                self._end(run, RunStatus.STOPPED)
            elif time.monotonic() > self._ends:
                pause_run(db.session(), run.id, now=clock.now())
                db.session.commit()
                return False
            else:
                steps[run.phase](run)
        return True

    def _has_stopped(self) -> bool:
        self._ground = survey_ground(db.session(), self._run_id)
        run = self._load()
        if run is not None and run.is_stop_requested:
            self._end(run, RunStatus.STOPPED)
        return run is None or run.is_stop_requested

    def _begin(self, account: Account) -> bool:
        now = clock.now()
        mark_connected(db.session(), now=now)
        prepare_run(db.session(), self._run_id, _windows())
        is_known = recognise_account(db.session(), account)
        run = load_facts(db.session(), self._run_id, self._ground)
        db.session.commit()
        if run is None:
            return False
        if not is_known:
            self._brake(run, _alarm_of_account(run, account))
        return is_known

    def _load(self) -> RunFacts | None:
        run = load_facts(db.session(), self._run_id, self._ground)
        db.session.rollback()
        return run

    def _read_page(self, run: RunFacts) -> None:
        is_cut_off = run.listing_count >= settings().verification_page_cap
        if is_cut_off or not run.event_type_ids:
            return self._end_listing(run, is_truncated=is_cut_off)
        read = read_by_start if run.has_window else read_by_change
        page = read(self._client, run.event_type_ids, run.checkpoint, clock.now())
        strays = self._record_page(run, page, has_seen_strays=False)
        if strays:
            # Before the page's checkpoint: should this job die now, the next reads the page again.
            for appointment_id, uid in strays:
                self._look_at_stray(run, appointment_id, uid)
            self._record_page(run, page, has_seen_strays=True)
        return None

    def _record_page(
        self, run: RunFacts, page: Page, *, has_seen_strays: bool
    ) -> list[tuple[int, str]]:
        """The page and its checkpoint, and after the last one the listing's end: all at once. Where
        the page shows strays that are still to be looked at nothing is written: these are."""
        session, following = db.session(), page.next or run.checkpoint
        findings = record_page(
            session,
            run,
            page,
            now=clock.now(),
            patience=patience(),
            past_days=settings().verification_past_days,
            is_held=lambda: is_ours_suddenly_empty(session, run, _limits()),
        )
        if findings.strays and not has_seen_strays:
            session.rollback()
            return findings.strays
        self._advance(
            run,
            findings,
            listing_count=1,
            listed_count=len(page.bookings),
            cursor_at=following.at,
            cursor_skip=following.skip,
        )
        as_written = load_facts(session, run.id, self._ground) if page.is_last else None
        if as_written is not None:
            self._end_listing(as_written, is_truncated=False)
        session.commit()
        return []

    def _end_listing(self, run: RunFacts, *, is_truncated: bool) -> None:
        session = db.session()
        alarm = None
        if not is_truncated:
            alarm = alarm_after_listing(
                session, run, _limits(), most_looks=settings().verification_doubts_cap
            ) or alarm_of_our_side(session, run, _limits())
        if alarm is not None:
            return self._brake(run, alarm)
        findings = PageFindings()
        if is_truncated:
            findings.skipped["truncated"] = forget_unseen(session, run.id)
        limit = settings().verification_doubts_cap if run.has_window else FLAGGED_PER_DELTA
        note_flagged(session, run.id, before=run.window_from, limit=limit)
        self._advance(run, findings, phase=RunPhase.DOUBTS, is_truncated=is_truncated)
        session.commit()
        return None

    def _look_at_stray(self, run: RunFacts, appointment_id: int, uid: str) -> None:
        """A booking with the key of an appointment that has another one: its successor, which the
        look finds, or a second one."""
        self._look_at(run, appointment_id)
        findings = PageFindings()
        try:
            booking = self._client.get_booking(uid)
        except NotFound:
            return
        except Unavailable:
            # The next listing shows it again; waiting for this one could hold up all the others.
            findings.errors = 1
            booking = None
        current = self._load()
        if current is None or (booking is not None and booking.status not in LIVING):
            return
        if booking is not None:
            _import_second(appointment_id, booking, run.host, findings)
        self._advance(current, findings)
        db.session.commit()

    def _look_at_doubts(self, run: RunFacts) -> None:
        alarm = alarm_at_missing(db.session(), run, _limits())
        ids = next_doubts(db.session(), run.id, 1)
        if alarm is not None:
            return self._brake(run, alarm)
        db.session.rollback()
        if ids:
            return self._look_at(run, ids[0])
        self._advance(run, PageFindings(), phase=RunPhase.ABSENCES)
        db.session.commit()
        return None

    def _look_at(self, run: RunFacts, appointment_id: int) -> None:
        """Raises Postponed: then the run waits, and looks at this one again."""
        look = plan_look(appointment_id)
        seen = None if look is None else observe(look, self._client)
        if seen is not None and isinstance(seen.error, Postponed):
            raise seen.error
        current = self._load()
        if current is None:
            raise RunLost
        if look is None or seen is None:
            findings = skip_look(db.session(), current, appointment_id)
        else:
            findings = self._judge(current, look, seen)
        self._advance(current, findings)
        db.session.commit()

    def _judge(self, run: RunFacts, look: Look, seen: Observation) -> PageFindings:
        try:
            return record_look(db.session(), run, look, seen, now=clock.now(), patience=patience())
        except Exception:  # noqa: BLE001 - one appointment must not end its company's verification
            db.session.rollback()
            sync_log().exception("verification_broke_off", appointment_id=look.appointment_id)
            findings = skip_look(db.session(), run, look.appointment_id)
            findings.errors = 1
            return findings

    def _settle_absences(self, run: RunFacts) -> None:
        ids = sighted(db.session(), run.id, SightingKind.MISSING, BATCH)
        db.session.rollback()
        if not ids:
            return self._end(run, RunStatus.DONE)
        # Only while the key is known to be good: bookings answer without one, too (API.md §1).
        if not recognise_account(db.session(), self._ask_whose_key()):
            return self._end(run, RunStatus.FAILED, error_code=UNTRUSTED)
        findings = PageFindings()
        findings.flagged = findings.disagreed = record_absences(
            db.session(), run, ids, now=clock.now(), patience=patience()
        )
        forget_sightings(db.session(), run.id, ids)
        self._advance(run, findings)
        db.session.commit()
        return None

    def _ask_whose_key(self) -> Account:
        return self._client.me()

    def _advance(self, run: RunFacts, findings: PageFindings, **steps: Any) -> None:
        """Write figures and checkpoint into the caller's transaction."""
        advance_run(
            db.session(),
            run,
            now=clock.now(),
            skipped=findings.skipped,
            request_count=self._calls.take(),
            error_streak=0,
            **findings.figures,
            **steps,
        )
        if not run.is_import:
            # What was there before us no webhook could announce.
            changes = announceable(findings.moved_there)
            note_changes(db.session(), changes, now=clock.now(), alarm=patience().alarm)
        if findings.moved_there:
            sync_log().info("changes_read", run_id=run.id, changes=len(findings.moved_there))

    def _brake(self, run: RunFacts, alarm: Alarm) -> None:
        """Flag nothing; say once that this verification can't be believed."""
        now = clock.now()
        raise_untrusted(db.session(), run.id, alarm.cause, alarm.evidence, now=now)
        finish_run(db.session(), run.id, now=now, status=RunStatus.FAILED, error_code=UNTRUSTED)
        db.session.commit()
        sync_log().warning("run_braked", run_id=run.id, cause=alarm.cause.value)

    def _end(self, run: RunFacts, status: RunStatus, error_code: str | None = None) -> None:
        now, session = clock.now(), db.session()
        if status is RunStatus.DONE and not run.is_truncated:
            if run.has_window:
                settle_by_itself(session, run, now=now)
            else:
                note_watermark(session, run)
        if run.scope is RunScope.FULL and status is RunStatus.DONE:
            # Event types have no webhook: the night is when their drift is looked for (S8).
            request_comparison(session, now=now)
        forget_sightings(session, run.id)
        finish_run(session, run.id, now=now, status=status, error_code=error_code)
        session.commit()
        sync_log().info("run_finished", run_id=run.id, scope=run.scope.value, status=status.value)


def _import_second(
    appointment_id: int, booking: Booking, host: str, findings: PageFindings
) -> None:
    made = import_second_booking(db.session(), appointment_id, booking, host=host, now=clock.now())
    if isinstance(made, int):
        findings.only_there = findings.flagged = 1
    else:
        findings.skipped[made] += 1


def _alarm_of_account(run: RunFacts, account: Account) -> Alarm:
    theirs = {"id": account.id, "name": account.username or account.email}
    evidence = evidence_of(db.session(), run, sample=[])
    return Alarm(IncidentCause.OTHER_ACCOUNT, {**evidence, "account": theirs})


def _windows() -> Windows:
    return Windows(
        scheduled_days=settings().verification_past_days,
        sweep_days=settings().sweep_past_days,
        overlap_seconds=settings().delta_overlap_seconds,
    )


def _limits() -> Brake:
    return Brake(least=settings().brake_least, share=settings().brake_share)
