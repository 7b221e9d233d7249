"""The queues: what waits, what failed, and what to do about it."""

import click
from flask.cli import AppGroup

from webapp.cli.asking import needing_redis
from webapp.cli.tables import json_option, show_rows
from webapp.jobs.inspection import clear_queue, failed_jobs, queue_figures, retry_failed
from webapp.jobs.queues import NAMES

queues = AppGroup("queues", help="What waits for the workers, and what failed.")

one_queue = click.argument("name", required=False, type=click.Choice(NAMES))


@queues.command("list")
@json_option
def list_queues_command(as_json: bool) -> None:
    """Every queue, in the order workers empty them: waiting and since when, running, failed."""
    with needing_redis() as connection:
        rows = [figures._asdict() for figures in queue_figures(connection)]
    show_rows(rows, as_json=as_json)


@queues.command("failed")
@one_queue
@json_option
def list_failed_command(name: str | None, as_json: bool) -> None:
    """The jobs that ended in an error nobody foresaw; the log has the traces."""
    with needing_redis() as connection:
        rows = [job._asdict() for job in failed_jobs(connection, _names(name))]
    show_rows(rows, as_json=as_json, nothing="nothing failed")


@queues.command("retry-failed")
@one_queue
def retry_failed_command(name: str | None) -> None:
    """Queue what failed again; each job claims its row anew or finds it done."""
    with needing_redis() as connection:
        click.echo(f"{retry_failed(connection, _names(name))} queued again")


@queues.command("clear")
@click.argument("name", type=click.Choice(NAMES))
@click.option("--yes", is_flag=True, help="don't ask")
def clear_queue_command(name: str, yes: bool) -> None:
    """Take every waiting job out of a queue. What is due comes again with the next pulse."""
    if not yes:
        click.confirm(f"Take every waiting job out of '{name}'?", abort=True)
    with needing_redis() as connection:
        number = clear_queue(name, connection)
    click.echo(f"{number} taken out; what is due comes again with the next pulse")


def _names(name: str | None) -> tuple[str, ...]:
    return NAMES if name is None else (name,)
