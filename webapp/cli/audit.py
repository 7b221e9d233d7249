"""The audit log: verified against its seals, and handed out with them."""

import csv
import json
import sys
from collections.abc import Iterator
from typing import Any

import click
from flask.cli import AppGroup
from sqlalchemy import select

from webapp import clock
from webapp.cli.asking import acting_for, each_company
from webapp.cli.tables import json_option, show_rows
from webapp.extensions import db
from webapp.jobs.sealing import seal
from webapp.models.audit import Actor, AuditEntry, record_audit
from webapp.models.audit_chain import Chain, verify_chain
from webapp.models.audit_seal import AuditSeal
from webapp.models.company import Company
from webapp.models.tenancy import require_company_id

audit = AppGroup("audit", help="The audit log and the chain of seals over it.")

COLUMNS = ("id", "at", "actor", "user_id", "action", "subject", "data", "number", "hash")
STRIDE = 1000


@audit.command("verify")
@click.argument("slug", required=False)
@click.option("--expect", help="NUMBER:HASH of a seal noted earlier, which must still stand")
@json_option
def verify_audit_command(slug: str | None, expect: str | None, as_json: bool) -> None:
    """Compare the log with its seals. Exits 1 and names the first place where they differ."""
    if expect is not None and slug is None:
        raise click.UsageError("--expect is about one company: say which")
    rows, is_whole = [], True
    for company_id in each_company(slug):
        chain = verify_chain(db.session())
        name = db.session.get_one(Company, company_id).slug
        rows.append({"company": name, **_describe(chain)})
        is_whole = is_whole and chain.broken is None
        if expect is not None and not _stands(expect):
            rows[-1]["result"] = f"the seal {expect} does not stand any more"
            is_whole = False
    show_rows(rows, as_json=as_json, nothing="no company")
    raise SystemExit(0 if is_whole else 1)


@audit.command("seal")
@click.argument("slug")
def seal_audit_command(slug: str) -> None:
    """Seal what isn't sealed yet, in this process."""
    with acting_for(slug):
        company_id = require_company_id()
    click.echo(f"{seal(company_id, company_id)} sealed")


@audit.command("export")
@click.argument("slug")
@click.option("--format", "form", type=click.Choice(["jsonl", "csv"]), default="jsonl")
def export_audit_command(slug: str, form: str) -> None:
    """The whole log with its seals, oldest first, to standard output."""
    with acting_for(slug):
        record_audit(
            db.session(),
            "audit.exported",
            f"company:{require_company_id()}",
            at=clock.now(),
            actor=Actor.OPERATOR,
        )
        db.session.commit()
        if form == "csv":
            writer = csv.DictWriter(sys.stdout, COLUMNS)
            writer.writeheader()
            writer.writerows({**row, "data": json.dumps(row["data"])} for row in exported())
            return
        for row in exported():
            click.echo(json.dumps(row, ensure_ascii=False))


def exported() -> Iterator[dict[str, Any]]:
    """Every entry of the current company with its seal; between two no transaction is open."""
    query = (
        select(AuditEntry, AuditSeal.number, AuditSeal.hash)
        .outerjoin(
            AuditSeal,
            (AuditSeal.company_id == AuditEntry.company_id) & (AuditSeal.entry_id == AuditEntry.id),
        )
        .where(AuditEntry.company_id == require_company_id())
        .order_by(AuditEntry.id)
        .limit(STRIDE)
    )
    after = 0
    while rows := db.session.execute(query.where(AuditEntry.id > after)).all():
        after = rows[-1][0].id
        stride = [_spell(entry, number, hash_) for entry, number, hash_ in rows]
        db.session.rollback()  # whoever pages through it holds no transaction
        yield from stride


def _describe(chain: Chain) -> dict[str, object]:
    broken = chain.broken
    return {
        "sealed": chain.sealed,
        "unsealed": chain.unsealed,
        "head": f"{chain.head.number}:{chain.head.hash.hex()}",
        "result": "whole"
        if broken is None
        else f"{broken.kind.value}: entry {broken.entry_id or '?'}, seal {broken.number or '-'}",
    }


def _stands(expected: str) -> bool:
    number, _, hash_ = expected.partition(":")
    if not number.isdigit():
        raise click.UsageError("--expect takes NUMBER:HASH, as `audit verify` prints it")
    found = db.session.scalar(
        select(AuditSeal.hash).where(
            AuditSeal.company_id == require_company_id(), AuditSeal.number == int(number)
        )
    )
    return found is not None and found.hex() == hash_.lower()


def _spell(entry: AuditEntry, number: int | None, hash_: bytes | None) -> dict[str, Any]:
    return {
        "id": entry.id,
        "at": entry.at.isoformat(),
        "actor": entry.actor.value,
        "user_id": entry.user_id,
        "action": entry.action,
        "subject": entry.subject,
        "data": entry.data,
        "number": number,
        "hash": hash_.hex() if hash_ else None,
    }
