"""Sightings: what a run noted of appointments until it is through (S5.5)."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from webapp.models.appointment import Appointment
from webapp.models.run import RunSighting, SightingKind
from webapp.models.tenancy import require_company_id


def note_sightings(
    session: Session, run_id: int, sightings: Mapping[SightingKind, Sequence[int]]
) -> None:
    """Write down appointments by kind. Not being seen gives way to having been seen, in either
    order; of a doubt and a sighting the later one holds: a chain's end on a later page ends the
    doubt that its beginning raised."""
    for kind in SightingKind:
        ids = sightings.get(kind)
        if ids:
            _note(session, run_id, kind, ids)


def _note(session: Session, run_id: int, kind: SightingKind, ids: Sequence[int]) -> None:
    company_id = require_company_id()
    rows = [
        {"company_id": company_id, "run_id": run_id, "appointment_id": each, "kind": kind}
        for each in ids
    ]
    statement = insert(RunSighting).values(rows)
    key = ["company_id", "run_id", "appointment_id"]
    if kind is SightingKind.UNSEEN:
        session.execute(statement.on_conflict_do_nothing(index_elements=key))
    else:
        weaker = RunSighting.kind != kind
        session.execute(
            statement.on_conflict_do_update(index_elements=key, set_={"kind": kind}, where=weaker)
        )


def note_flagged(session: Session, run_id: int, *, before: datetime | None, limit: int) -> None:
    """Note whatever is flagged and the listing doesn't reach: what starts before its window, or
    where it has none, those looked at the longest ago. What was seen stays seen."""
    company_id = require_company_id()
    query = select(Appointment.id).where(
        Appointment.company_id == company_id, Appointment.requires_manual_review
    )
    if before is not None:
        query = query.where(Appointment.starts_at < before)
    ids = session.scalars(
        query.order_by(Appointment.last_sync_attempt_at.nulls_first()).limit(limit)
    ).all()
    if ids:
        _note(session, run_id, SightingKind.UNSEEN, ids)


def next_doubts(session: Session, run_id: int, limit: int) -> list[int]:
    """Appointments a direct look has to tell about, in the order they were noted."""
    return list(
        session.scalars(
            select(RunSighting.appointment_id)
            .where(*_of(run_id), RunSighting.kind.in_([SightingKind.DOUBTED, SightingKind.UNSEEN]))
            .order_by(RunSighting.id)
            .limit(limit)
        )
    )


def sighted(session: Session, run_id: int, kind: SightingKind, limit: int) -> list[int]:
    """The first appointments noted so."""
    return list(
        session.scalars(
            select(RunSighting.appointment_id)
            .where(*_of(run_id), RunSighting.kind == kind)
            .order_by(RunSighting.id)
            .limit(limit)
        )
    )


def settle_sighting(
    session: Session, run_id: int, appointment_id: int, *, is_missing: bool
) -> None:
    """A direct look has told."""
    mine = (*_of(run_id), RunSighting.appointment_id == appointment_id)
    if is_missing:
        session.execute(update(RunSighting).where(*mine).values(kind=SightingKind.MISSING))
    else:
        session.execute(delete(RunSighting).where(*mine))


def forget_unseen(session: Session, run_id: int) -> int:
    """A listing that was cut off proves nothing missing; returns how many that leaves out."""
    gone = session.scalars(
        delete(RunSighting)
        .where(*_of(run_id), RunSighting.kind == SightingKind.UNSEEN)
        .returning(RunSighting.id)
    )
    return len(gone.all())


def forget_sightings(session: Session, run_id: int, ids: Sequence[int] | None = None) -> None:
    """The run is through with these, or with all."""
    some = [] if ids is None else [RunSighting.appointment_id.in_(ids)]
    session.execute(delete(RunSighting).where(*_of(run_id), *some))


def _of(run_id: int) -> tuple[ColumnElement[bool], ...]:
    return (RunSighting.company_id == require_company_id(), RunSighting.run_id == run_id)
