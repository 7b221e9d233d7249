"""Sealing the audit log into a chain, and verifying it (S12.7).

A seal's hash is SHA-256 over the previous seal's hash and the entry as canonical JSON, in id order,
per company. So a changed, a removed and an inserted entry each break it at one place. What the age
of the log has made forgotten left a checkpoint: the chain is verified from there.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from webapp.models.audit import AuditEntry
from webapp.models.audit_seal import AuditCheckpoint, AuditSeal
from webapp.models.tenancy import require_company_id

BEGINNING = bytes(32)
"""What stands for the hash before the first."""
STRIDE = 1000


class BreakKind(StrEnum):
    """How an entry no longer is what was sealed."""

    CHANGED = "changed"
    REMOVED = "removed"
    INSERTED = "inserted"


class Link(NamedTuple):
    """A seal, as far as the next one and a verification need it."""

    number: int
    entry_id: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Break:
    """Where the log isn't what was sealed; the first such place. `entry_id` is None where entry and
    seal are both gone: then it is the first of them by number."""

    kind: BreakKind
    number: int | None
    entry_id: int | None


@dataclass(frozen=True, slots=True)
class Chain:
    """A verification's outcome. `sealed` entries were looked at; `unsealed` ones wait for the next
    sealing; `head` is the last seal, worth noting down elsewhere."""

    sealed: int
    unsealed: int
    head: Link
    broken: Break | None


def seal_entries(session: Session, *, horizon: int, limit: int, now: datetime) -> int:
    """Seal the current company's oldest unsealed entries; returns how many.

    `horizon`: the id up to which nobody can add an entry any more (`crossing.audit_horizon`); an
    entry that appears below a sealed one later is an inserted one.
    """
    _one_at_a_time(session)
    head = _head(session)
    entries = session.execute(_entries(after=head.entry_id, up_to=horizon).limit(limit)).all()
    for entry in entries:
        head = Link(head.number + 1, entry.id, link_hash(head.hash, entry))
        session.add(AuditSeal(number=head.number, entry_id=entry.id, hash=head.hash, sealed_at=now))
    session.flush()
    return len(entries)


def has_unsealed(session: Session) -> bool:
    return session.execute(_entries(after=_head(session).entry_id).limit(1)).first() is not None


def verify_chain(session: Session) -> Chain:
    """Compare the current company's whole log with its seals, in a bounded piece of memory."""
    link = _checkpoint(session)
    inserted = _first_inserted(session)
    broken: Break | None = None
    sealed = 0
    for seal, entry in _sealed(session, link.number):
        if inserted is not None and inserted < seal.entry_id:
            broken = Break(BreakKind.INSERTED, None, inserted)
        else:
            broken = _compare(link, seal, entry)
        if broken is not None:
            break
        link, sealed = seal, sealed + 1
    head = _head(session)
    return Chain(sealed, _count_unsealed(session, head.entry_id), head, broken)


def link_hash(previous: bytes, entry: Any) -> bytes:
    """SHA-256 over the previous hash and the entry, spelled one way."""
    at = entry.at.astimezone(UTC).isoformat(timespec="microseconds")
    spelled = {
        "company_id": entry.company_id,
        "id": entry.id,
        "at": at,
        "actor": str(entry.actor),
        "user_id": entry.user_id,
        "action": entry.action,
        "subject": entry.subject,
        "data": entry.data,
    }
    text = json.dumps(spelled, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(previous + text.encode()).digest()


def _compare(before: Link, seal: Link, entry: Any) -> Break | None:
    """`entry` is None where only its seal is left."""
    if seal.number != before.number + 1:
        return Break(BreakKind.REMOVED, before.number + 1, None)
    if entry is None:
        return Break(BreakKind.REMOVED, seal.number, seal.entry_id)
    if seal.entry_id <= before.entry_id or link_hash(before.hash, entry) != seal.hash:
        return Break(BreakKind.CHANGED, seal.number, seal.entry_id)
    return None


def _one_at_a_time(session: Session) -> None:
    key = f"audit-chain:{require_company_id()}"
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(key, 0))))


def _head(session: Session) -> Link:
    """The last seal; where all of them were forgotten, the checkpoint."""
    row = session.execute(
        select(AuditSeal.number, AuditSeal.entry_id, AuditSeal.hash)
        .where(AuditSeal.company_id == require_company_id())
        .order_by(AuditSeal.number.desc())
        .limit(1)
    ).one_or_none()
    return _checkpoint(session) if row is None else Link(*row)


def _checkpoint(session: Session) -> Link:
    row = session.execute(
        select(AuditCheckpoint.number, AuditCheckpoint.entry_id, AuditCheckpoint.hash)
        .where(AuditCheckpoint.company_id == require_company_id())
        .order_by(AuditCheckpoint.number.desc())
        .limit(1)
    ).one_or_none()
    return Link(0, 0, BEGINNING) if row is None else Link(*row)


def _entries(*, after: int, up_to: int | None = None) -> Any:
    columns = AuditEntry.__table__.columns
    query = (
        select(*columns)
        .where(columns.company_id == require_company_id(), columns.id > after)
        .order_by(columns.id)
    )
    return query if up_to is None else query.where(columns.id <= up_to)


def _sealed(session: Session, after: int) -> Iterator[tuple[Link, Any]]:
    """Each seal with its entry, or None where that is gone; in order, in strides."""
    columns = AuditEntry.__table__.columns
    query = (
        select(AuditSeal.number, AuditSeal.entry_id, AuditSeal.hash, *columns)
        .outerjoin(
            AuditEntry,
            (columns.company_id == AuditSeal.company_id) & (columns.id == AuditSeal.entry_id),
        )
        .where(AuditSeal.company_id == require_company_id())
        .order_by(AuditSeal.number)
        .limit(STRIDE)
    )
    while rows := session.execute(query.where(AuditSeal.number > after)).all():
        for row in rows:
            yield Link(row.number, row.entry_id, row.hash), _entry_of(row)
        after = rows[-1].number


def _entry_of(row: Row[Any]) -> Any:
    return None if row.id is None else row


def _first_inserted(session: Session) -> int | None:
    """The lowest entry that has no seal though later ones have."""
    is_sealed = (
        select(AuditSeal.id)
        .where(AuditSeal.company_id == AuditEntry.company_id, AuditSeal.entry_id == AuditEntry.id)
        .exists()
    )
    return session.scalar(
        select(func.min(AuditEntry.id)).where(
            AuditEntry.company_id == require_company_id(),
            AuditEntry.id <= _head(session).entry_id,
            ~is_sealed,
        )
    )


def _count_unsealed(session: Session, after: int) -> int:
    query = select(func.count()).where(
        AuditEntry.company_id == require_company_id(), AuditEntry.id > after
    )
    return session.scalar(query) or 0
