"""The audit log: who did what with access, secrets and policies, and how far it is sealed."""

import json
from collections.abc import Iterator, Sequence
from zoneinfo import ZoneInfo

from flask import Blueprint, request
from flask.typing import ResponseReturnValue
from sqlalchemy import select

from webapp import clock
from webapp.extensions import db
from webapp.models.audit import Actor, AuditEntry, record_audit
from webapp.models.audit_seal import AuditSeal
from webapp.models.tenancy import require_company_id
from webapp.models.user import User
from webapp.views.access import acting, company_zone, require_person
from webapp.views.audit_list import AuditFilters, cursor_of, parse_audit_filters, query_audit
from webapp.views.audit_words import ACTORS, ACTS, act, audit_subject
from webapp.views.csv_files import csv_file
from webapp.views.pages import render_page
from webapp.views.paging import Cursor, fetch_page
from webapp.views.words import gettext as _

blueprint = Blueprint("audit", __name__, url_prefix="/audit")

STRIDE = 500


@blueprint.get("")
@acting
def index() -> ResponseReturnValue:
    """Admins and managers; staff have no business with it."""
    filters = parse_audit_filters(request.args)
    page = fetch_page(db.session(), query_audit(filters, company_zone()), cursor_of)
    return render_page(
        "audit/index.html",
        page=page,
        filters=filters,
        acts=sorted(ACTS.items(), key=lambda each: str(each[1]).casefold()),
        actors=list(Actor),
        people=_people(page.rows),
        seal=_last_seal(),
    )


@blueprint.post("/exports")
@acting
def export() -> ResponseReturnValue:
    """Everything the filters match, as a file; that it was taken is in the log."""
    filters = parse_audit_filters(request.form)
    record_audit(
        db.session(),
        "audit.exported",
        f"company:{require_company_id()}",
        at=clock.now(),
        actor=Actor.USER,
        user_id=require_person().id,
        filters=filters.as_query,
    )
    db.session.commit()
    header = (_("Number"), _("When"), _("Who"), _("What"), _("About"), _("Details"))
    return csv_file("audit", header, _lines(filters))


def _lines(filters: AuditFilters) -> Iterator[Sequence[object]]:
    query, zone = query_audit(filters, company_zone()), company_zone()
    last: Cursor | None = None
    while True:
        following = query if last is None else query_audit(_behind(filters, last), zone)
        rows = db.session.scalars(following.limit(STRIDE)).all()
        people = _people(rows)
        is_last = len(rows) < STRIDE
        last = None if is_last else cursor_of(rows[-1])
        yield from [_line(entry, people, zone) for entry in rows]
        if is_last:
            return


def _line(entry: AuditEntry, people: dict[int, str], zone: ZoneInfo) -> Sequence[object]:
    return (
        entry.id,
        entry.at.astimezone(zone).isoformat(timespec="seconds"),
        people.get(entry.user_id or 0) or str(ACTORS[entry.actor].label),
        act(entry.action),
        audit_subject(entry.subject),
        json.dumps(entry.data, ensure_ascii=False) if entry.data else "",
    )


def _behind(filters: AuditFilters, cursor: Cursor) -> AuditFilters:
    return AuditFilters(filters.act, filters.actor, filters.first_day, filters.last_day, cursor)


def _people(entries: Sequence[AuditEntry]) -> dict[int, str]:
    """Names by user id; somebody of another company is nobody here."""
    wanted = {entry.user_id for entry in entries} - {None}
    if not wanted:
        return {}
    query = select(User.id, User.name).where(
        User.company_id == require_company_id(), User.id.in_(wanted)
    )
    return {row.id: row.name for row in db.session.execute(query)}


def _last_seal() -> AuditSeal | None:
    query = select(AuditSeal).where(AuditSeal.company_id == require_company_id())
    return db.session.scalar(query.order_by(AuditSeal.number.desc()).limit(1))
