"""Offer services."""

import click
from flask.cli import AppGroup

from webapp import clock
from webapp.calcom.errors import CalcomError
from webapp.cli.asking import acting_for, refusing_politely
from webapp.extensions import db
from webapp.jobs.connection import open_client
from webapp.sync.offerings import create_service

service = AppGroup("service", help="Offer services.")


@service.command("create")
@click.argument("slug")
@click.argument("name")
@click.option("--minutes", type=click.IntRange(1, 1440), help="default: the event type's length")
@click.option("--event-type", "event_type_id", type=int, help="Cal.com's id of the event type")
@click.option("--price-cents", type=click.IntRange(0), default=0)
@click.option("--currency", default="EUR", show_default=True)
def create_service_command(
    slug: str,
    name: str,
    minutes: int | None,
    event_type_id: int | None,
    price_cents: int,
    currency: str,
) -> None:
    """Offer a service; its event type has to be one of this company's Cal.com account."""
    if minutes is None and event_type_id is None:
        raise click.ClickException("say --minutes, or an --event-type to take them from")
    with acting_for(slug), refusing_politely():
        if event_type_id is not None:
            length = _event_type_minutes(event_type_id)
            minutes = minutes or length
        row = create_service(
            db.session(),
            name=name,
            duration_minutes=minutes or 0,
            price_cents=price_cents,
            currency=currency,
            event_type_id=event_type_id,
            now=clock.now(),
        )
        db.session.commit()
        click.echo(f"{row.name}: service {row.id}, {row.duration_minutes} minutes")


def _event_type_minutes(event_type_id: int) -> int:
    """Its length, if it is one of this account's that an appointment can be booked as."""
    try:
        with open_client() as client:
            event_type = client.get_event_type(event_type_id)
    except CalcomError as error:
        raise click.ClickException(
            f"Cal.com says of event type {event_type_id}: {error.message}"
        ) from None
    if event_type.is_recurring or event_type.is_seated:
        raise click.ClickException("recurring and seated event types can't be bound to a service")
    return event_type.length_minutes
