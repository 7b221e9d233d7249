"""The seals over the audit log: a hash chain per company, and where its beginning was forgotten.

Both are append-only. A seal has no foreign key to its entry: it has to outlive it to tell of it.
"""

from datetime import datetime

from sqlalchemy import CheckConstraint, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from webapp.extensions import Base
from webapp.models.base import Owned


class AuditSeal(Owned, Base):
    """One link of the chain: `hash` is SHA-256 over the previous hash and the entry."""

    __tablename__ = "audit_seals"
    __table_args__ = (
        CheckConstraint("octet_length(hash) = 32", name="hash_whole"),
        UniqueConstraint("company_id", "number"),
        UniqueConstraint("company_id", "entry_id"),
    )

    number: Mapped[int]
    """1, 2, 3 … without a gap."""
    entry_id: Mapped[int]
    hash: Mapped[bytes] = mapped_column(LargeBinary)
    sealed_at: Mapped[datetime]


class AuditCheckpoint(Owned, Base):
    """Up to this seal the log was forgotten for its age; what follows is verified from here."""

    __tablename__ = "audit_checkpoints"
    __table_args__ = (
        CheckConstraint("octet_length(hash) = 32", name="hash_whole"),
        UniqueConstraint("company_id", "number"),
    )

    number: Mapped[int]
    entry_id: Mapped[int]
    hash: Mapped[bytes] = mapped_column(LargeBinary)
    made_at: Mapped[datetime]
    removed_count: Mapped[int]
