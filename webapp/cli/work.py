"""The work that waits, and the demo's sample data."""

import logging

import click
from flask.cli import AppGroup, with_appcontext
from redis.exceptions import RedisError

from webapp.application import settings
from webapp.jobs import pulse as pulses
from webapp.jobs.queues import connect_for_web

demo = AppGroup("demo", help="The demo's sample data.")


@click.command("pulse")
@with_appcontext
def pulse() -> None:
    """Hand everything that is due to the workers, once."""
    try:
        handed = pulses.beat(connect_for_web(settings().redis_url))
    except RedisError as error:
        raise click.ClickException(f"Redis can't be reached: {type(error).__name__}") from None
    click.echo(f"{handed} handed over")


@demo.command("seed")
def seed_command() -> None:
    """Fill an empty database and sandbox with sample data; does little when it is there."""
    from webapp.demo import seed

    if settings().sandbox_url is None:
        raise click.ClickException("SANDBOX_URL isn't set: sample data needs the sandbox")
    logging.getLogger().setLevel(logging.WARNING)
    seed(settings().sandbox_url or "", say=lambda text: click.echo(text, err=True))
