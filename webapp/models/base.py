"""What all models share: the company in every key, enumerations as text with CHECK, folding."""

import unicodedata
from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Dialect,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Text,
)
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import TypeDecorator


class Owned:
    """A row that belongs to one company: its key is `(company_id, id)`.

    Row-level security filters on `company_id`; `tenancy` fills and guards it.
    """

    company_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("companies.id"), primary_key=True, sort_order=-2
    )
    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True, sort_order=-1)


class TextEnum(TypeDecorator[StrEnum]):
    """A StrEnum kept as text: under row-level security native enums lose their index (S2)."""

    impl = Text
    cache_ok = True

    def __init__(self, enum: type[StrEnum]) -> None:
        super().__init__()
        self.enum = enum

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else self.enum(value).value

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else self.enum(value)


def one_of(column: str, enum: type[StrEnum]) -> CheckConstraint:
    """The CHECK that goes with a TextEnum column."""
    return CheckConstraint(f"{column} IN ({quoted(enum)})", name=f"{column}_known")


def quoted(values: Iterable[StrEnum]) -> str:
    """Enumeration members as an SQL list."""
    return ", ".join(f"'{member.value}'" for member in values)


def belongs_to(column: str, table: str, **options: Any) -> ForeignKeyConstraint:
    """A foreign key that cannot leave the company."""
    return ForeignKeyConstraint(
        ["company_id", column], [f"{table}.company_id", f"{table}.id"], **options
    )


def fold(text: str) -> str:
    """Text for comparing without case: stored beside the original, compared in "C" collation."""
    return unicodedata.normalize("NFKC", text).casefold().strip()
