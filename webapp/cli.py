"""The operator's command line: `flask --app webapp …`, or `make flask ARGS="…"`.

A command is *look up → act → commit → say*. What a person typed wrongly ends it with a sentence.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
from flask import Flask
from flask.cli import AppGroup, with_appcontext
from redis.exceptions import RedisError
from sqlalchemy.exc import IntegrityError

from webapp import clock
from webapp.application import settings, vault
from webapp.calcom.errors import CalcomError
from webapp.extensions import db
from webapp.jobs import pulse as pulses
from webapp.jobs.connection import open_client
from webapp.jobs.queues import connect_for_web
from webapp.jobs.verification import run as run_verification
from webapp.models.company import Company
from webapp.models.crossing import company_ids, company_of_slug, find_login, next_company_id
from webapp.models.run import Run, RunScope
from webapp.models.tenancy import as_company, require_company_id
from webapp.models.user import Role, User
from webapp.sync.catalog import create_service
from webapp.sync.connection import mark_connected, mark_disconnected
from webapp.sync.onboarding import (
    InvalidValue,
    connect_company,
    create_company,
    create_user,
)
from webapp.sync.runs import start_run

company = AppGroup("company", help="Make, connect and check companies.")
user = AppGroup("user", help="Make people and set their passwords.")
service = AppGroup("service", help="Offer services.")
demo = AppGroup("demo", help="The demo's sample data.")


def register(app: Flask) -> None:
    for command in (company, service, user, demo, pulse):
        app.cli.add_command(command)


@company.command("create")
@click.argument("slug")
@click.option("--name", required=True)
@click.option("--time-zone", default="Europe/Berlin", show_default=True)
@click.option("--locale", type=click.Choice(["de", "en"]), default="de", show_default=True)
def create_company_command(slug: str, name: str, time_zone: str, locale: str) -> None:
    """Make a company; SLUG is its short name on this command line."""
    company_id = next_company_id(db.session())
    db.session.rollback()
    with as_company(company_id), refusing_politely():
        create_company(
            db.session(),
            slug=slug,
            name=name,
            time_zone=time_zone,
            locale=locale,
            now=clock.now(),
        )
        db.session.commit()
        click.echo(f"{slug}: company {company_id}")
        click.echo(f"Webhook address: {webhook_address()}")


@company.command("list")
def list_companies_command() -> None:
    """Every company with its connection."""
    ids = company_ids(db.session())
    db.session.rollback()
    for company_id in ids:
        with as_company(company_id):
            row = db.session.get_one(Company, company_id)
            state = "no key" if row.calcom_api_key is None else row.connection_state.value
            click.echo(f"{row.slug}\t{row.name}\t{row.calcom_base_url}\t{state}")


@company.command("connect")
@click.argument("slug")
@click.option("--base-url", required=True, help="e.g. https://api.cal.com/v2")
def connect_company_command(slug: str, base_url: str) -> None:
    """Set the Cal.com connection; API key and webhook secret come from standard input, a line each.

    An empty second line leaves the webhook secret as it is.
    """
    with acting_for(slug), refusing_politely():
        connect_company(
            db.session(),
            vault(),
            base_url=base_url,
            api_key=_ask("API key"),
            webhook_secret=_ask("Webhook secret") or None,
            allow_private_networks=settings().allow_private_networks,
            now=clock.now(),
        )
        db.session.commit()
        _check_connection()
        click.echo(f"Webhook address: {webhook_address()}")


@company.command("webhook")
@click.argument("slug")
def show_webhook_command(slug: str) -> None:
    """Print the address that Cal.com has to call."""
    with acting_for(slug):
        click.echo(webhook_address())


@company.command("verify")
@click.argument("slug")
def verify_company_command(slug: str) -> None:
    """Compare all of a company's appointments with Cal.com now, in this process."""
    with acting_for(slug):
        company_id = require_company_id()
        run_id = start_run(db.session(), scope=RunScope.REQUESTED, now=clock.now())
        db.session.commit()
    if run_id is None:
        raise click.ClickException("a verification of this company is running already")
    run_verification(company_id, run_id)
    with as_company(company_id):
        run = db.session.get_one(Run, (company_id, run_id))
        click.echo(
            f"{run.status.value}: {run.compared_count} compared, {run.agreed_count} agree,"
            f" {run.disagreed_count} don't, {run.error_count} errors, {run.skipped_count} skipped"
        )
        if run.error_code:
            raise click.ClickException(f"the run ended early: {run.error_code}")


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


@user.command("create")
@click.argument("slug")
@click.argument("email")
@click.option("--name", required=True)
@click.option("--role", type=click.Choice([role.value for role in Role]), default=Role.ADMIN.value)
@click.option("--locale", type=click.Choice(["de", "en"]), help="default: the company's")
def create_user_command(slug: str, email: str, name: str, role: str, locale: str | None) -> None:
    """Make a person of company SLUG; the password comes from standard input."""
    with acting_for(slug), refusing_politely():
        row = create_user(
            db.session(),
            email=email,
            name=name,
            role=Role(role),
            locale=locale or db.session.get_one(Company, require_company_id()).locale,
            password=_ask("Password"),
            now=clock.now(),
        )
        db.session.commit()
        click.echo(f"{row.email}: {row.role.value} of {slug}")


@user.command("password")
@click.argument("email")
def set_password_command(email: str) -> None:
    """Set a person's password, from standard input; ends their sessions."""
    login = find_login(db.session(), email)
    db.session.rollback()
    if login is None:
        raise click.ClickException(f"nobody logs in as {email}")
    with as_company(login.company_id):
        db.session.get_one(User, (login.company_id, login.user_id)).set_password(_ask("Password"))
        db.session.commit()
    click.echo(f"{email}: password set, sessions ended")


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


def webhook_address() -> str:
    row = db.session.get_one(Company, require_company_id())
    return f"{settings().public_url}/webhooks/calcom/{row.webhook_token}"


@contextmanager
def acting_for(slug: str) -> Iterator[None]:
    """Act for the company of this short name."""
    company_id = company_of_slug(db.session(), slug)
    db.session.rollback()
    if company_id is None:
        raise click.ClickException(f"there is no company '{slug}'; `company list` shows all")
    with as_company(company_id):
        yield


@contextmanager
def refusing_politely() -> Iterator[None]:
    """A sentence instead of a trace for what was typed wrongly."""
    try:
        yield
    except IntegrityError as error:
        raise click.ClickException(_why(error)) from None
    except (InvalidValue, ValueError) as error:
        raise click.ClickException(str(error)) from None


def _why(error: IntegrityError) -> str:
    constraint = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
    known = {
        "uq_companies_slug": "a company of this short name exists already",
        "uq_users_email_folded": "somebody logs in with this e-mail already",
        "ck_companies_slug_form": "a short name has lower-case letters, digits and hyphens",
        "uq_services_event_type": "another company offers one of these event types on that host",
    }
    return known.get(constraint or "", f"the database refused it: {constraint}")


def _check_connection() -> None:
    """Say whether Cal.com takes the key; the connection stays set either way."""
    try:
        with open_client() as client:
            account = client.me()
    except CalcomError as error:
        mark_disconnected(db.session(), error.code, now=clock.now())
        db.session.commit()
        raise click.ClickException(f"saved, but Cal.com says: {error.message}") from None
    mark_connected(db.session(), now=clock.now())
    db.session.commit()
    click.echo(f"Connected as {account.name or account.username}")


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


def _ask(what: str) -> str:
    """A line of standard input; without echo at a terminal."""
    if sys.stdin.isatty():
        return str(click.prompt(what, hide_input=True, default="", show_default=False))
    return sys.stdin.readline().strip()
