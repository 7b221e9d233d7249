"""Who carries out the work: workers and schedulers by their signs of life in the database."""

import click
from flask.cli import with_appcontext

from webapp import clock
from webapp.cli.tables import json_option, show_rows
from webapp.extensions import db
from webapp.insight.workers import living_workers, silent_workers
from webapp.models.heartbeat import Heartbeat, ProcessKind


@click.command("workers")
@json_option
@with_appcontext
def workers(as_json: bool) -> None:
    """Who lives, who fell silent within a day, and at what. Exits 1 where the work stands still."""
    now = clock.now()
    living = living_workers(db.session(), now)
    silent = silent_workers(db.session(), now)
    rows = [_row(each, "lives") for each in living] + [_row(each, "silent") for each in silent]
    has_worker = any(each.kind is ProcessKind.WORKER for each in living)
    has_clock = any(each.is_leader for each in living)
    db.session.rollback()
    show_rows(rows, as_json=as_json, nothing="no worker and no scheduler in the last day")
    raise SystemExit(0 if has_worker and has_clock else 1)


def _row(process: Heartbeat, state: str) -> dict[str, object]:
    leads = " (leads)" if process.is_leader else ""
    return {
        "kind": f"{process.kind.value}{leads}",
        "state": state,
        "name": process.name,
        "since": process.started_at,
        "seen_at": process.seen_at,
        "job": process.job_id,
    }
