"""A customer's data: everything that is kept, and removing what tells who they are."""

import json

import click
from flask.cli import AppGroup

from webapp import clock
from webapp.cli.asking import acting_for
from webapp.extensions import db
from webapp.models.audit import Actor, record_audit
from webapp.sync.erasure import Erasure, NotErasable, erase_customer, export_customer

customer = AppGroup("customer", help="Export and erase a customer's data.")

WHY_NOT = {
    NotErasable.UPCOMING: "{count} still to come: cancel first, so that Cal.com knows",
    NotErasable.UNDER_WAY: "{count} still under way: try again in a moment",
}


@customer.command("export")
@click.argument("slug")
@click.argument("customer_id", type=int)
def export_customer_command(slug: str, customer_id: int) -> None:
    """Everything that is kept about a customer, as JSON."""
    with acting_for(slug):
        everything = export_customer(db.session(), customer_id)
        if everything is None:
            raise _unknown(slug, customer_id)
        record_audit(
            db.session(),
            "customer.exported",
            f"customer:{customer_id}",
            at=clock.now(),
            actor=Actor.OPERATOR,
        )
        db.session.commit()
        click.echo(json.dumps(everything, ensure_ascii=False, indent=2, default=str))


@customer.command("erase")
@click.argument("slug")
@click.argument("customer_id", type=int)
@click.option("--yes", is_flag=True, help="don't ask")
def erase_customer_command(slug: str, customer_id: int, yes: bool) -> None:
    """Remove what tells who a customer is, for good. Appointments and history stay, by number."""
    if not yes:
        click.confirm(f"Erase customer {customer_id} of {slug}? It can't be undone", abort=True)
    with acting_for(slug):
        try:
            erasure = erase_customer(
                db.session(), customer_id, actor=Actor.OPERATOR, user_id=None, now=clock.now()
            )
        except NotErasable as error:
            raise click.ClickException(WHY_NOT[error.reason].format(count=error.count)) from None
        if erasure is None:
            raise _unknown(slug, customer_id)
        db.session.commit()
    _say(slug, customer_id, erasure)


def _say(slug: str, customer_id: int, erasure: Erasure) -> None:
    click.echo(
        f"customer {customer_id} of {slug} erased: {erasure.appointments} appointments,"
        f" {erasure.history} history entries, {erasure.deliveries} deliveries,"
        f" {erasure.phone_answers} telephone answers"
    )
    click.echo("Cal.com keeps a copy of its own: erase it there too", err=True)


def _unknown(slug: str, customer_id: int) -> click.ClickException:
    return click.ClickException(f"{slug} has no customer {customer_id}")
