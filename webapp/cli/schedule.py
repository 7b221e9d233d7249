"""The periodic checks: how they stand, and beginning one now."""

import click
from flask.cli import AppGroup
from redis.exceptions import RedisError

from webapp import clock
from webapp.application import settings
from webapp.cli.asking import acting_for, each_company
from webapp.cli.tables import json_option, show_rows
from webapp.extensions import db
from webapp.jobs.queues import connect_for_web
from webapp.jobs.schedule import TASKS
from webapp.jobs.timetable import begin_now, next_ticks, timetable
from webapp.models.company import Company
from webapp.models.tenancy import require_company_id

schedule = AppGroup("schedule", help="The periodic checks of every company.")


@schedule.command("list")
@click.argument("slug", required=False)
@json_option
def list_schedule_command(slug: str | None, as_json: bool) -> None:
    """Each check: the slot that now is in, whether it was begun, the last one, the next tick."""
    ticks = _ticks()
    rows = []
    for company_id in each_company(slug):
        name = db.session.get_one(Company, company_id).slug
        for state in timetable(db.session(), clock.now()):
            next_tick = "unknown: Redis is away" if ticks is None else ticks[state.task]
            rows.append({"company": name, **state._asdict(), "next_tick": next_tick})
    show_rows(rows, as_json=as_json, nothing="no company")


@schedule.command("run")
@click.argument("task", type=click.Choice(list(TASKS)))
@click.argument("slug")
def run_task_command(task: str, slug: str) -> None:
    """Begin a check's current slot for one company now; the workers carry it out."""
    with acting_for(slug):
        row_id = begin_now(db.session(), TASKS[task], clock.now())
        db.session.commit()
        if row_id is None:
            raise click.ClickException(
                "nothing to begin: there is nothing to do, no key, or a run is going on already"
            )
        TASKS[task].hand_over(require_company_id(), row_id)
    click.echo(f"{task} begun for {slug}")


def _ticks() -> dict[str, object] | None:
    try:
        return dict(next_ticks(connect_for_web(settings().redis_url)))
    except RedisError:
        return None
